"""laion-clap's CLAP with the weights of a checkpoint in transformers' layout.

laion-clap downloads three tokenizers when it is imported, and a text model's weights when its model is built. Neither is
needed here, so both downloads are prevented: the parent process sends tokens, and the checkpoint has all weights.
"""

import re
from contextlib import contextmanager

import torch
import transformers
from torchvision_operators import make_importable
from weights import read


def load(folder, device, dtype, extractor):
    """Return a function of arrays that embeds sounds or texts.

    It takes either `sounds` (n, samples) float32, or `words` and `mask` (n, t) int64. It returns `vectors` (n, d) float32 of
    unit length.

    Args:
        folder: Folder of the checkpoint.
        device: PyTorch's name of the device.
        dtype: PyTorch's name of the number format.
        extractor: Sizes of the spectrogram, named as in transformers' feature extractor.
    """
    model, audio = _model(folder, extractor)
    model = model.to(getattr(torch, dtype)).to(device).eval()

    @torch.no_grad()
    def vectors(sounds=None, words=None, mask=None):
        if sounds is None:
            tokens = {"input_ids": torch.from_numpy(words), "attention_mask": torch.from_numpy(mask)}
            return {"vectors": model.get_text_embedding(tokens).float().cpu().numpy()}
        from laion_clap.training.data import float32_to_int16, get_audio_features, int16_to_float32

        features = []
        for sound in sounds:
            samples = torch.from_numpy(int16_to_float32(float32_to_int16(sound))).to(getattr(torch, dtype))
            features.append(
                get_audio_features(
                    {}, samples, len(sound), data_truncating="rand_trunc", data_filling="repeatpad", audio_cfg=audio
                )
            )
        return {"vectors": model.get_audio_embedding(features).float().cpu().numpy()}

    return vectors


def _model(folder, extractor):
    config, weights = read(folder)
    audio_config, text_config = config["audio_config"], config["text_config"]
    if audio_config.get("enable_fusion"):
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
        "fmin": 50,  # the value of all of laion-clap's own configurations
        "fmax": 14000,
        "class_num": 527,
        "model_type": "HTSAT",
        "model_name": "tiny",
    }

    def tower(cfg, enable_fusion, fusion_type):
        return HTSAT_Swin_Transformer(
            spec_size=audio_config["spec_size"],
            patch_size=audio_config["patch_size"],
            patch_stride=tuple(audio_config["patch_stride"]),
            num_classes=cfg.class_num,
            embed_dim=audio_config["patch_embeds_hidden_size"],
            depths=audio_config["depths"],
            num_heads=audio_config["num_attention_heads"],
            window_size=audio_config["window_size"],
            mlp_ratio=audio_config["mlp_ratio"],
            config=cfg,
            enable_fusion=enable_fusion,
            fusion_type=fusion_type,
        )

    known = transformers.RobertaConfig()
    roberta = transformers.RobertaConfig(**{name: text_config[name] for name in text_config if hasattr(known, name)})
    originals = towers.create_htsat_model, transformers.RobertaModel.from_pretrained
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
            embed_dim=audio_config["hidden_size"],
            audio_cfg=audio,
            text_cfg=text,
            joint_embed_shape=config["projection_dim"],
        )
    finally:
        towers.create_htsat_model, transformers.RobertaModel.from_pretrained = originals
    model.text_projection[0] = torch.nn.Linear(roberta.hidden_size, config["projection_dim"])
    missing, unexpected = model.load_state_dict(_renamed(weights), strict=False)
    unset = [name for name in missing if not _unused(name)]
    unknown = [name for name in unexpected if not _unused(name)]
    if unset or unknown:
        raise ValueError(f"weights don't fit laion-clap's CLAP: {unset[:3]} missing, {unknown[:3]} unexpected")
    return model, audio


def _unused(name):
    """Return whether one of the two libraries leaves out a weight: a computed one, or one of a head without embedding."""
    parts = ("spectrogram_extractor", "logmel_extractor", "tscam_conv", "audio_branch.head", "_transform.", "attn_mask")
    parts += ("relative_position_index", "num_batches_tracked", "position_ids", "token_type_ids")
    return any(part in name for part in parts)


def _renamed(weights):
    """Rename CLAP's weights from transformers' names to laion-clap's, the inverse of transformers' own conversion."""
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
            match = re.fullmatch(r"(.*\.attn)\.(query|key|value)\.(weight|bias)", name)
            if match:
                split.setdefault((match[1], match[3]), {})[match[2]] = tensor
                continue
        elif name.startswith("text_model."):
            name = "text_branch." + name[len("text_model.") :]
        name = re.sub(r"_projection\.linear(\d)", lambda match: f"_projection.{2 * (int(match[1]) - 1)}", name)
        renamed[name] = tensor
    for (stem, kind), parts in split.items():
        renamed[f"{stem}.qkv.{kind}"] = torch.cat([parts[part] for part in ("query", "key", "value")])
    return renamed


@contextmanager
def _offline():
    """Prevent the download of three tokenizers that laion-clap loads and that are not used here."""
    kinds = (transformers.BertTokenizer, transformers.RobertaTokenizer, transformers.BartTokenizer)
    for kind in kinds:
        kind.from_pretrained = classmethod(lambda cls, *_, **__: None)
    try:
        yield
    finally:
        for kind in kinds:
            del kind.from_pretrained  # restores the inherited method
