"""LAVIS's BLIP-2 with the weights of a checkpoint in transformers' layout.

Modules and generation are LAVIS's own. To build its modules, LAVIS downloads a tokenizer and weights. Neither is needed here:
the modules are built from the checkpoint's configuration and get the checkpoint's weights.
"""

from functools import partial
from types import SimpleNamespace

import torch
from torchvision_operators import make_importable
from weights import read


def load(folder, device, dtype, prompt, longest):
    """Return a function of arrays that captions images.

    It takes `pixels` (n, 3, h, w) float32, scaled and normalised, and returns the new tokens as `words` (n, t) int64.

    Args:
        folder: Folder of the checkpoint.
        device: PyTorch's name of the device.
        dtype: PyTorch's name of the number format.
        prompt: Token ids of the prompt, without those of the image.
        longest: Largest number of new tokens.
    """
    model = _model(folder, prompt).to(getattr(torch, dtype)).to(device).eval()

    @torch.no_grad()
    def captions(pixels):
        images = torch.from_numpy(pixels).to(device, getattr(torch, dtype))
        model.generate({"image": images, "prompt": ""}, num_beams=1, max_length=longest)
        return {"words": model.opt_tokenizer.decoded.cpu().numpy()}

    return captions


def _model(folder, prompt):
    make_importable()
    from lavis.models.blip2_models.blip2 import Blip2Base, LayerNorm
    from lavis.models.blip2_models.blip2_opt import Blip2OPT
    from lavis.models.blip2_models.modeling_opt import OPTConfig, OPTForCausalLM
    from lavis.models.blip2_models.Qformer import BertConfig, BertLMHeadModel
    from lavis.models.eva_vit import VisionTransformer

    config, weights = read(folder)
    vision, qformer, text = config["vision_config"], config["qformer_config"], config["text_config"]

    class FromCheckpoint(Blip2OPT):
        maybe_autocast = _no_autocast

        def __init__(self):
            Blip2Base.__init__(self)
            self.visual_encoder = VisionTransformer(
                img_size=vision["image_size"],
                patch_size=vision["patch_size"],
                use_mean_pooling=False,
                embed_dim=vision["hidden_size"],
                depth=vision["num_hidden_layers"],
                num_heads=vision["num_attention_heads"],
                mlp_ratio=(vision["intermediate_size"] + 0.5) / vision["hidden_size"],  # LAVIS rounds the product down
                qkv_bias=True,
                norm_layer=partial(torch.nn.LayerNorm, eps=vision["layer_norm_eps"]),
            )
            self.ln_vision = LayerNorm(vision["hidden_size"])
            bert = BertConfig(**{name: qformer[name] for name in qformer if hasattr(BertConfig(), name)})
            bert.encoder_width = vision["hidden_size"]
            bert.add_cross_attention = True
            bert.cross_attention_freq = qformer["cross_attention_frequency"]
            bert.query_length = config["num_query_tokens"]
            self.Qformer = BertLMHeadModel(bert)
            self.query_tokens = torch.nn.Parameter(torch.zeros(1, config["num_query_tokens"], bert.hidden_size))
            self.Qformer.cls = None
            self.Qformer.bert.embeddings.word_embeddings = None
            self.Qformer.bert.embeddings.position_embeddings = None
            for layer in self.Qformer.bert.encoder.layer:
                layer.output = layer.intermediate = None
            known = OPTConfig()
            self.opt_model = OPTForCausalLM(OPTConfig(**{name: text[name] for name in text if hasattr(known, name)}))
            self.opt_proj = torch.nn.Linear(bert.hidden_size, text["hidden_size"])
            self.opt_tokenizer = _Words(prompt)
            self.eos_token_id = text["eos_token_id"]
            self.prompt = ""

    model = FromCheckpoint()
    missing, unexpected = model.load_state_dict(_renamed(weights), strict=False)
    missing = [name for name in missing if name != "opt_model.lm_head.weight" and "position_ids" not in name]
    if missing or unexpected:
        raise ValueError(f"weights don't fit LAVIS's BLIP-2: {missing[:3]} missing, {unexpected[:3]} unexpected")
    model.opt_model.tie_weights()
    return model


def _renamed(weights):
    """Rename BLIP-2's weights from transformers' names to LAVIS's, the inverse of transformers' own conversion."""
    renamed = {}
    for name, tensor in weights.items():
        for theirs, ours in (
            ("vision_model.embeddings.class_embedding", "visual_encoder.cls_token"),
            ("vision_model.embeddings.position_embedding", "visual_encoder.pos_embed"),
            ("vision_model.embeddings.patch_embedding", "visual_encoder.patch_embed.proj"),
            ("vision_model.post_layernorm", "ln_vision"),
            ("vision_model.encoder.layers", "visual_encoder.blocks"),
            (".layer_norm1.", ".norm1."),
            (".layer_norm2.", ".norm2."),
            (".self_attn.projection.", ".attn.proj."),
            (".self_attn.qkv.", ".attn.qkv."),
            ("qformer.layernorm", "Qformer.bert.embeddings.LayerNorm"),
            ("attention.attention.", "attention.self."),
            ("language_projection", "opt_proj"),
            ("language_model.", "opt_model."),
        ):
            name = name.replace(theirs, ours)
        if name.startswith("qformer."):
            name = "Qformer.bert." + name[len("qformer.") :]
        if name.endswith(".attn.qkv.bias"):  # LAVIS has no bias of the keys: it cancels in the softmax
            query, _, value = tensor.chunk(3)
            stem = name[: -len("qkv.bias")]
            renamed[stem + "q_bias"], renamed[stem + "v_bias"] = query, value
        else:
            renamed[name] = tensor
    return renamed


class _Words:
    """A replacement of LAVIS's tokenizer: it returns the prompt's tokens and keeps the generated tokens undecoded."""

    def __init__(self, prompt):
        self.prompt = torch.tensor([prompt], dtype=torch.long)
        self.decoded = None

    def __call__(self, texts, return_tensors):
        ids = self.prompt.repeat(len(texts), 1)
        tokens = SimpleNamespace(input_ids=ids, attention_mask=torch.ones_like(ids))
        tokens.to = lambda device: SimpleNamespace(
            input_ids=ids.to(device), attention_mask=tokens.attention_mask.to(device)
        )
        return tokens

    def batch_decode(self, words, skip_special_tokens):
        self.decoded = words
        return [""] * len(words)


def _no_autocast(self, dtype=torch.float16):
    """Replace LAVIS's autocast, so that numbers have the type `dtype` on every device."""
    return torch.autocast("cpu", enabled=False)
