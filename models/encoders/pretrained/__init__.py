"""Pretrained encoders, run by transformers or by the models' own libraries: image encoders, AST, AnglE's UAE, BLIP-2, CLAP.

This module imports transformers only inside functions that need it. `identity` reads files and needs no framework.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from typing import Any

from models.encoders.isolated.environments import ROOT
from models.encoders.pretrained.backends import checked_backend
from models.encoders.pretrained.checkpoints import PAPER, Checkpoint, locate
from models.encoders.pretrained.options import (
    CODE_VERSIONS,
    CaptionOptions,
    Options,
    checked_attention,
    checked_dtype,
    described,
    options_of,
)
from models.encoders.roles import Encoder, Role

__all__ = ["PAPER", "count_operations", "identity", "load", "preparation", "width"]

_BATCH_SIZES = {"visual": 64, "acoustic": 16, "text": 64, "captions": 16, "sounds": 16}  # on a CPU


def load(
    role: Role,
    checkpoint: str,
    *,
    revision: str | None = None,
    device: str = "cpu",
    dtype: str | None = None,
    allow_download: bool = False,
    batch_size: int | None = None,
    attention: str | None = None,
    compile: bool = False,
    backend: str | None = None,
    environments: str = ROOT,
    **options: Any,
) -> Encoder:
    """Load a checkpoint for a role.

    Args:
        role: `visual`, `acoustic`, `text`, `captions` or `sounds`.
        checkpoint: A folder, or a repository (owner/name) in this machine's Hugging Face cache.
        revision: Branch, tag or commit of a repository; by default the newest one in the cache.
        device: PyTorch's name of the device: `cpu`, `cuda`, `cuda:1`.
        dtype: `float32` (default), `bfloat16` or `float16`. On a GPU, the 16-bit formats need half the memory.
        allow_download: Whether to download missing files.
        batch_size: Inputs per batch. By default a GPU measures the fastest size at loading, and a CPU uses a fixed number.
            The size is halved permanently when memory runs out. It doesn't change the output.
        attention: `eager`, `sdpa` or `flash_attention_2`; by default the library decides. It changes only rounding.
            Ignored with another backend than `transformers`.
        compile: Whether to run the model through `torch.compile`, for BLIP-2 only its vision side. Compiling takes time at
            the first batches. Ignored with another backend than `transformers`.
        backend: The library that runs the model, by default `transformers`; see `backends.BACKENDS`.
        environments: Folder of the environments of libraries that need one of their own.
        options: The role's options, see `models.encoders.pretrained.options`.

    Raises:
        CheckpointError: The files are missing, incomplete, or belong to another architecture.
        EncoderError: The device, the attention kernel or the backend is not available.
        ValueError: An option or a value is unknown.
    """
    role_options = options_of(role, options)
    dtype, attention = checked_dtype(dtype), checked_attention(attention)
    backend = checked_backend(role, backend, environments=environments)
    located = locate(role, checkpoint, revision=revision, allow_download=allow_download)
    from models.encoders.pretrained.batching import fastest_size
    from models.encoders.pretrained.loading import load_encoder, load_with_own_library

    arguments = {
        "identity": _identity(role, located, dtype, backend, role_options),
        "device": device,
        "dtype": dtype,
        "batch_size": batch_size or _BATCH_SIZES[role],
    }
    if backend == "transformers":
        encoder = load_encoder(role, located, role_options, attention=attention, compile=compile, **arguments)
    else:
        encoder = load_with_own_library(backend, located, role_options, environments=environments, **arguments)
    if batch_size is None and device.startswith("cuda"):
        encoder.batches.size = fastest_size(encoder.trial, name=f"{role} ({located.name})")
    return encoder


def preparation(
    role: Role,
    checkpoint: str,
    *,
    revision: str | None = None,
    allow_download: bool = False,
    backend: str | None = None,
    **_other: Any,
) -> Callable[..., Any]:
    """Return the `prepare` of the encoder that `load` returns for the same arguments, without loading weights.

    The returned callable is picklable.

    Raises:
        CheckpointError: As in `load`.
        ValueError: The role is `text`, which has no preparation.
    """
    located = locate(role, checkpoint, revision=revision, allow_download=allow_download)
    from models.encoders.pretrained.preparing import ASTPreparation, CLAPPreparation, ImagePreparation, LaionPreparation

    match role:
        case "visual" | "captions":
            return ImagePreparation(located)
        case "acoustic":
            return ASTPreparation(located)
        case "sounds":
            return LaionPreparation(located) if backend == "laion-clap" else CLAPPreparation(located)
    raise ValueError(f"the role {role!r} prepares nothing")


def width(
    role: Role, checkpoint: str, *, revision: str | None = None, allow_download: bool = False, **_other: Any
) -> int:
    """Return the length of the vectors of the encoder that `load` returns. Only the configuration is read.

    Raises:
        CheckpointError: As in `load`.
        ValueError: The role returns words.
    """
    if role not in ("visual", "acoustic", "text"):
        raise ValueError(f"the role {role!r} gives no vectors; roles with a width are visual, acoustic, text")
    located = locate(role, checkpoint, revision=revision, allow_download=allow_download)
    config = json.loads((located.folder / "config.json").read_text(encoding="utf-8"))
    stated = config.get("vision_config", config).get("hidden_size")
    if stated is not None:
        return int(stated)
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(located.folder)
    return getattr(config, "vision_config", config).hidden_size


def count_operations(
    role: Role,
    checkpoint: str,
    *,
    revision: str | None = None,
    allow_download: bool = False,
    max_new_tokens: int = CaptionOptions.max_new_tokens,
    text_tokens: int | None = None,
    **_other: Any,
) -> float:
    """Return the number of floating-point operations for one input of the encoder that `load` returns.

    Args:
        role: `visual`, `acoustic`, `text`, `captions` or `sounds`.
        checkpoint: As in `load`.
        revision: As in `load`.
        allow_download: As in `load`.
        max_new_tokens: Words of a caption.
        text_tokens: Length of a text in tokens; by default that of a title.

    Raises:
        CheckpointError: As in `load`.
    """
    located = locate(role, checkpoint, revision=revision, allow_download=allow_download)
    from transformers import AutoConfig

    from models.encoders.pretrained.from_files import from_folder
    from models.encoders.pretrained.operations import TEXT_TOKENS, operations
    from models.encoders.pretrained.preparing import ImagePreparation
    from models.encoders.pretrained.visual import image_config

    config = from_folder(AutoConfig.from_pretrained, located)
    if role == "visual":  # the processor decides the image size, and some models accept other sizes than their own
        config = image_config(config)
        config.image_size = max(ImagePreparation(located).size())
    return operations(role, config, new_tokens=max_new_tokens, text_tokens=text_tokens or TEXT_TOKENS)


def identity(
    role: Role,
    checkpoint: str,
    *,
    revision: str | None = None,
    device: str = "cpu",
    dtype: str | None = None,
    allow_download: bool = False,
    batch_size: int | None = None,
    attention: str | None = None,
    compile: bool = False,
    backend: str | None = None,
    environments: str = ROOT,
    **options: Any,
) -> dict[str, Any]:
    """Return the `identity` of the encoder that `load` returns for the same arguments.

    No framework is imported. The weights are not loaded; for a folder their bytes are hashed.

    Raises:
        CheckpointError: As in `load`.
        EncoderError: The backend is not available.
        ValueError: An option or a value is unknown.
    """
    checked_attention(attention)
    backend = checked_backend(role, backend, environments=environments)
    located = locate(role, checkpoint, revision=revision, allow_download=allow_download)
    return _identity(role, located, checked_dtype(dtype), backend, options_of(role, options))


def _identity(role: Role, located: Checkpoint, dtype: str, backend: str, options: Options) -> dict[str, Any]:
    values = {"dtype": dtype, **described(options)}
    if role == "acoustic":  # with torchaudio installed, the feature extractor computes slightly different numbers
        values["filter_bank"] = "torchaudio" if importlib.util.find_spec("torchaudio") else "numpy"
    return {
        "name": f"pretrained-{role}",
        "backend": backend,
        "checkpoint": located.name,
        "revision": located.revision,
        "options": values,
        "code": CODE_VERSIONS[role],
    }
