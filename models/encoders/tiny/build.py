"""Builders of the tiny checkpoints: the five real architectures with few random weights, and their processors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from transformers import (
    ASTConfig,
    ASTFeatureExtractor,
    ASTModel,
    BertConfig,
    BertModel,
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    ClapProcessor,
    OPTConfig,
    ViTConfig,
    ViTModel,
)
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from models.encoders.pretrained.from_files import quietly
from models.encoders.roles import Role
from models.encoders.tiny import tokenization

_SPREAD = 0.2  # standard deviation of the weights: ten times the usual, so that different inputs give clearly different outputs


def build(role: Role, folder: Path, *, seed: int) -> None:
    """Write the checkpoint of a role.

    Args:
        role: `visual`, `acoustic`, `text`, `captions` or `sounds`.
        folder: An existing, empty folder.
        seed: Seed of the random weights; the same seed gives the same weights.
    """
    builders: dict[str, Callable[[Path], None]] = {
        "visual": _vit,
        "acoustic": _ast,
        "text": _bert,
        "captions": _blip2,
        "sounds": _clap,
    }
    with torch.random.fork_rng(devices=[]), quietly():
        torch.manual_seed(seed)
        builders[role](folder)


def _vit(folder: Path) -> None:
    config = ViTConfig(image_size=32, patch_size=8, initializer_range=_SPREAD, **_small())
    ViTModel(config, add_pooling_layer=False).save_pretrained(folder)
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)


def _ast(folder: Path) -> None:
    config = ASTConfig(num_mel_bins=32, max_length=128, initializer_range=_SPREAD, **_small())
    ASTModel(config).save_pretrained(folder)
    ASTFeatureExtractor(num_mel_bins=32, max_length=128).save_pretrained(folder)


def _bert(folder: Path) -> None:
    tokenizer = tokenization.bert()
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=128, initializer_range=_SPREAD, **_small())
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _blip2(folder: Path) -> None:
    tokenizer = tokenization.opt()
    words = OPTConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        word_embed_proj_dim=32,
        ffn_dim=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=128,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        init_std=_SPREAD,
    )
    config = Blip2Config(
        vision_config={"image_size": 32, "patch_size": 8, "initializer_range": _SPREAD, **_small()},
        qformer_config={"encoder_hidden_size": 32, "vocab_size": 32, "initializer_range": _SPREAD, **_small()},
        text_config=words.to_dict(),
        num_query_tokens=4,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        initializer_range=_SPREAD,
    )
    model = Blip2ForConditionalGeneration(config)
    torch.nn.init.normal_(model.query_tokens, std=1.0)  # a new model has zeros, which would make all queries equal
    # The embeddings are also the output layer: zero rows keep the model from choosing special tokens, so no caption is empty.
    with torch.no_grad():
        model.get_input_embeddings().weight[tokenizer.all_special_ids] = 0
    model.save_pretrained(folder)
    size = {"height": 32, "width": 32}
    Blip2Processor(BlipImageProcessorPil(size=size), tokenizer, num_query_tokens=4).save_pretrained(folder)


def _clap(folder: Path) -> None:
    tokenizer = tokenization.roberta()
    config = ClapConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "max_position_embeddings": 80,
            "pad_token_id": tokenizer.pad_token_id,
            "initializer_factor": 8.0,
            **_small(),
        },
        audio_config={
            "spec_size": 64,
            "num_mel_bins": 16,
            "window_size": 4,
            "patch_embeds_hidden_size": 16,
            "depths": [1, 1],
            "num_attention_heads": [2, 2],
            "hidden_size": 32,
            "initializer_factor": 8.0,
        },
        projection_dim=32,
    )
    ClapModel(config).save_pretrained(folder)
    # The model folds the spectrogram of 16 mel bands and 256 windows into an image of 64 x 64.
    extractor = ClapFeatureExtractor(
        feature_size=16, max_length_s=2, hop_length=384, fft_window_size=512, truncation="rand_trunc"
    )
    ClapProcessor(extractor, tokenizer).save_pretrained(folder)


def _small() -> dict[str, int]:
    return {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
