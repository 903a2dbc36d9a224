"""Loaders of the encoder of a role: model, processor and tokenizer from a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import torch
from transformers import ASTModel, AutoConfig, AutoModel, AutoTokenizer, Blip2ForConditionalGeneration, ClapModel

from models.encoders.isolated.environments import python_of
from models.encoders.pretrained.acoustic import ASTEncoder
from models.encoders.pretrained.captions import BLIP2Captioner
from models.encoders.pretrained.checkpoints import Checkpoint
from models.encoders.pretrained.from_files import from_folder, load_model
from models.encoders.pretrained.image_models import IMAGE_MODELS
from models.encoders.pretrained.options import (
    AcousticOptions,
    CaptionOptions,
    Options,
    SoundOptions,
    TextOptions,
    VisualOptions,
)
from models.encoders.pretrained.preparing import ASTPreparation, CLAPPreparation, ImagePreparation, LaionPreparation
from models.encoders.pretrained.sounds import CLAPDescriber
from models.encoders.pretrained.text import AnglEEncoder
from models.encoders.pretrained.visual import ImageEncoder, image_config
from models.encoders.roles import Encoder, Role


def load_encoder(
    role: Role,
    located: Checkpoint,
    options: Options,
    *,
    identity: dict[str, Any],
    device: str,
    dtype: str,
    attention: str | None,
    compile: bool,
    batch_size: int,
) -> Encoder:
    """Load the encoder of a role with transformers. Arguments and errors are those of `pretrained.load`."""
    running = {"device": device, "dtype": dtype, "attention": attention}
    encoder, compiled = LOADERS[role](located, options, running, {"identity": identity, "batch_size": batch_size})
    if compile:
        for module in compiled:
            module.compile(dynamic=True)  # in place; dynamic because batches differ in size
    return encoder


# An encoder, and its modules for `torch.compile`.
Loaded = tuple[Encoder, list[torch.nn.Module]]


def _visual(located: Checkpoint, options: VisualOptions, running: dict[str, Any], shared: dict[str, Any]) -> Loaded:
    config = image_config(from_folder(AutoConfig.from_pretrained, located))
    arguments = IMAGE_MODELS[config.model_type].arguments
    model = load_model(AutoModel, located, config=config, **arguments, **running)
    return ImageEncoder(model, ImagePreparation(located), options, **shared), [model]


def _acoustic(located: Checkpoint, options: AcousticOptions, running: dict[str, Any], shared: dict[str, Any]) -> Loaded:
    model = load_model(ASTModel, located, **running)
    return ASTEncoder(model, ASTPreparation(located), options, **shared), [model]


def _text(located: Checkpoint, options: TextOptions, running: dict[str, Any], shared: dict[str, Any]) -> Loaded:
    model = load_model(AutoModel, located, add_pooling_layer=False, **running)
    return AnglEEncoder(model, _tokenizer(located), options, **shared), [model]


def _captions(located: Checkpoint, options: CaptionOptions, running: dict[str, Any], shared: dict[str, Any]) -> Loaded:
    model = load_model(Blip2ForConditionalGeneration, located, **running)
    encoder = BLIP2Captioner(model, ImagePreparation(located), _tokenizer(located), options, **shared)
    # Not the language model: its cache grows with every word, so it would be compiled again and again.
    return encoder, [model.vision_model, model.qformer]


def _sounds(located: Checkpoint, options: SoundOptions, running: dict[str, Any], shared: dict[str, Any]) -> Loaded:
    model = load_model(ClapModel, located, **running)
    encoder = CLAPDescriber(model, CLAPPreparation(located), _tokenizer(located), options, **shared)
    return encoder, [model.audio_model]


LOADERS: dict[Role, Callable[..., Loaded]] = {
    "visual": _visual,
    "acoustic": _acoustic,
    "text": _text,
    "captions": _captions,
    "sounds": _sounds,
}


def load_with_own_library(
    backend: str, located: Checkpoint, options: Options, *, environments: str, **shared: Any
) -> Encoder:
    """Load an encoder that runs its model by the model's own library.

    Args:
        backend: `angle-emb`, `lavis` or `laion-clap`. The last two run in a child process.
        located: The checkpoint.
        options: The role's options.
        environments: Folder of the environments of libraries that need one of their own.
        shared: Arguments of all encoders: `identity`, `device`, `dtype` and `batch_size`.

    Raises:
        EncoderError: The library's environment is missing.
        ValueError: The backend is unknown.
    """
    match backend:
        case "angle-emb":
            from models.encoders.pretrained.angle_text import AngleLibraryEncoder

            return AngleLibraryEncoder(located, options, **shared)
        case "lavis":
            from models.encoders.pretrained.lavis_captions import LavisCaptioner

            python, queries = python_of(backend, root=environments), _config(located)["num_query_tokens"]
            prepare = ImagePreparation(located)
            return LavisCaptioner(python, prepare, _tokenizer(located), options, queries=queries, **shared)
        case "laion-clap":
            from models.encoders.pretrained.laion_sounds import LaionDescriber

            python = python_of(backend, root=environments)
            return LaionDescriber(python, LaionPreparation(located), _tokenizer(located), options, **shared)
    raise ValueError(f"no backend is named {backend!r}")


def _config(located: Checkpoint) -> dict[str, Any]:
    return json.loads((located.folder / "config.json").read_text(encoding="utf-8"))


def _tokenizer(located: Checkpoint) -> Any:
    return from_folder(AutoTokenizer.from_pretrained, located)
