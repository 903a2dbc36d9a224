"""CLAP as laion-clap runs it, with the weights of a checkpoint in transformers' layout.

laion-clap asks the network for three tokenizers when it is imported, and for a text model's weights when it is built. None
of these is used here: tokens come from the other side, and the checkpoint's weights replace all others.
"""

import re
from contextlib import contextmanager

import torch
import transformers
from torchvision_operators import make_importable
from weights import read


def load(folder, device, dtype, extractor):
    """{sounds: (n, samples) float32} or {words, mask: (n, t) int64} -> {vectors: (n, d) float32, of unit length}.

    extractor: sizes of the spectrogram, named as in transformers' feature extractor.
    """
    model, audio = _model(folder, extractor)
    model = model.to(getattr(torch, dtype)).to(device).eval()

    @torch.no_grad()
    def vectors(sounds=None, words=None, mask=None):
        if sounds is None:
            given = {"input_ids": torch.from_numpy(words), "attention_mask": torch.from_numpy(mask)}
            return {"vectors": model.get_text_embedding(given).float().cpu().numpy()}
        from laion_clap.training.data import float32_to_int16, get_audio_features, int16_to_float32

        heard = []
        for sound in sounds:
            samples = torch.from_numpy(int16_to_float32(float32_to_int16(sound))).to(getattr(torch, dtype))
            heard.append(
                get_audio_features(
                    {}, samples, len(sound), data_truncating="rand_trunc", data_filling="repeatpad", audio_cfg=audio
                )
            )
        return {"vectors": model.get_audio_embedding(heard).float().cpu().numpy()}

    return vectors


def _model(folder, extractor):
    config, weights = read(folder)
    seen, written = config["audio_config"], config["text_config"]
    if seen.get("enable_fusion"):
        raise ValueError("the fused variant of CLAP takes random crops in laion-clap; use the backend transformers")
    make_importable()
    with _offline():
        import laion_clap  # noqa: F401
        from clap_module import model as towers
        from clap_module.htsat import HTSAT_Swin_Transformer

    audio = {
        "audio_length": 1024,
        "clip_samples": extractor["nb_max_samples"],
        "mel_bins": extractor["feature_size"],
        "sample_rate": extractor["sampling_rate"],
        "window_size": extractor["fft_window_size"],
        "hop_size": extractor["hop_length"],
        "fmin": 50,  # as all of laion-clap's own configurations have it
        "fmax": 14000,
        "class_num": 527,
        "model_type": "HTSAT",
        "model_name": "tiny",
    }

    def tower(cfg, enable_fusion, fusion_type):
        return HTSAT_Swin_Transformer(
            spec_size=seen["spec_size"],
            patch_size=seen["patch_size"],
            patch_stride=tuple(seen["patch_stride"]),
            num_classes=cfg.class_num,
            embed_dim=seen["patch_embeds_hidden_size"],
            depths=seen["depths"],
            num_heads=seen["num_attention_heads"],
            window_size=seen["window_size"],
            mlp_ratio=seen["mlp_ratio"],
            config=cfg,
            enable_fusion=enable_fusion,
            fusion_type=fusion_type,
        )

    known = transformers.RobertaConfig()
    roberta = transformers.RobertaConfig(**{name: written[name] for name in written if hasattr(known, name)})
    kept = towers.create_htsat_model, transformers.RobertaModel.from_pretrained
    towers.create_htsat_model = tower
    transformers.RobertaModel.from_pretrained = lambda *_, **__: transformers.RobertaModel(roberta)
    try:
        text = {
            "context_length": 77,
            "vocab_size": 49408,
            "width": 512,
            "heads": 8,
            "layers": 12,
            "model_type": "roberta",
        }
        model = towers.CLAP(
            embed_dim=seen["hidden_size"], audio_cfg=audio, text_cfg=text, joint_embed_shape=config["projection_dim"]
        )
    finally:
        towers.create_htsat_model, transformers.RobertaModel.from_pretrained = kept
    model.text_projection[0] = torch.nn.Linear(roberta.hidden_size, config["projection_dim"])
    missing, unexpected = model.load_state_dict(_renamed(weights), strict=False)
    unset = [name for name in missing if not _unused(name)]
    unknown = [name for name in unexpected if not _unused(name)]
    if unset or unknown:
        raise ValueError(f"weights don't fit laion-clap's CLAP: {unset[:3]} missing, {unknown[:3]} unexpected")
    return model, audio


def _unused(name):
    """Weights that one of the two leaves out: computed ones, and those of heads that give no embedding."""
    parts = ("spectrogram_extractor", "logmel_extractor", "tscam_conv", "audio_branch.head", "_transform.", "attn_mask")
    parts += ("relative_position_index", "num_batches_tracked", "position_ids", "token_type_ids")
    return any(part in name for part in parts)


def _renamed(weights):
    """transformers' names of CLAP's weights -> laion-clap's (the way back of transformers' own conversion)."""
    renamed, split = {}, {}
    for name, tensor in weights.items():
        if name.startswith("audio_model.audio_encoder."):
            name = "audio_branch." + name[len("audio_model.audio_encoder.") :]
            for theirs, ours in (
                (".attention.output.dense.", ".attn.proj."),
                (".attention.self.", ".attn."),
                (".intermediate.dense.", ".mlp.fc1."),
                (".output.dense.", ".mlp.fc2."),
                (".layernorm_before.", ".norm1."),
                (".layernorm_after.", ".norm2."),
                ("batch_norm.", "bn0."),
            ):
                name = name.replace(theirs, ours)
            found = re.fullmatch(r"(.*\.attn)\.(query|key|value)\.(weight|bias)", name)
            if found:
                split.setdefault((found[1], found[3]), {})[found[2]] = tensor
                continue
        elif name.startswith("text_model."):
            name = "text_branch." + name[len("text_model.") :]
        name = re.sub(r"_projection\.linear(\d)", lambda found: f"_projection.{2 * (int(found[1]) - 1)}", name)
        renamed[name] = tensor
    for (stem, kind), parts in split.items():
        renamed[f"{stem}.qkv.{kind}"] = torch.cat([parts[part] for part in ("query", "key", "value")])
    return renamed


@contextmanager
def _offline():
    """Without the three tokenizers that laion-clap loads and, here, nobody uses."""
    kinds = (transformers.BertTokenizer, transformers.RobertaTokenizer, transformers.BartTokenizer)
    for kind in kinds:
        kind.from_pretrained = classmethod(lambda cls, *_, **__: None)
    try:
        yield
    finally:
        for kind in kinds:
            del kind.from_pretrained  # what it inherits is back
