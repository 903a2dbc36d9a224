"""Pretrained models through transformers or their own libraries: image encoders, AST, AnglE's UAE, BLIP-2, CLAP.

Nothing here imports transformers before `load` is called: identities are known from files alone.
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
        checkpoint: A folder, or a repository (owner/name) in this machine's Hugging Face cache.
        revision: Branch, tag or commit of a repository; the newest that is in the cache if None.
        device: As PyTorch names it: `cpu`, `cuda`, `cuda:1`.
        dtype: `float32` (default), `bfloat16` or `float16`.
        allow_download: Whether files that are missing may be fetched.
        batch_size: Inputs at once; None tries what is fastest, on a GPU, and takes a fixed number on a CPU. Halved for
            good when memory runs out. It doesn't change the output.
        attention: `eager`, `sdpa` or `flash_attention_2`; None is the library's choice. Changes no more than rounding.
        compile: Whether `torch.compile` makes kernels of the model (of BLIP-2: of what looks at the frames).
        backend: The library that runs the model, `transformers` by default; see `backends.BACKENDS`. Of the options
            above, `attention` and `compile` are those of transformers alone.
        environments: Folder of the environments of libraries that need one of their own.
        options: Of the role; see `models.encoders.pretrained.options`.

    Raises:
        CheckpointError: The files are not there, not whole, or not of such a model.
        EncoderError: The device, the attention kernel or the backend isn't there.
        ValueError: An unknown option or value.
    """
    chosen = options_of(role, options)
    dtype, attention = checked_dtype(dtype), checked_attention(attention)
    backend = checked_backend(role, backend, environments=environments)
    located = locate(role, checkpoint, revision=revision, allow_download=allow_download)
    from models.encoders.pretrained.batching import fastest_size
    from models.encoders.pretrained.loading import load_encoder, load_with_own_library

    told = {
        "identity": _identity(role, located, dtype, backend, chosen),
        "device": device,
        "dtype": dtype,
        "batch_size": batch_size or _BATCH_SIZES[role],
    }
    if backend == "transformers":
        encoder = load_encoder(role, located, chosen, attention=attention, compile=compile, **told)
    else:
        encoder = load_with_own_library(backend, located, chosen, environments=environments, **told)
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
    """The `prepare` of what `load` with the same arguments gives, picklable, without weights.

    Raises:
        CheckpointError: As `load`.
        ValueError: The role `text`, which prepares nothing.
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
    """How many numbers a vector of `load`'s encoder has, from its configuration alone.

    Raises:
        CheckpointError: As `load`.
        ValueError: A role that gives words.
    """
    if role not in ("visual", "acoustic", "text"):
        raise ValueError(f"the role {role!r} gives no vectors")
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
    """Floating-point operations for one input of `load`'s encoder (a text of `text_tokens`); CheckpointError as `load`."""
    located = locate(role, checkpoint, revision=revision, allow_download=allow_download)
    from transformers import AutoConfig

    from models.encoders.pretrained.from_files import from_folder
    from models.encoders.pretrained.operations import TEXT_TOKENS, operations
    from models.encoders.pretrained.preparing import ImagePreparation
    from models.encoders.pretrained.visual import image_config

    config = from_folder(AutoConfig.from_pretrained, located)
    if role == "visual":  # the size that the processor gives, where the model would take others too
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
    """What `load` with the same arguments would have as its `identity`; reads no weights and imports no framework."""
    checked_attention(attention)
    backend = checked_backend(role, backend, environments=environments)
    located = locate(role, checkpoint, revision=revision, allow_download=allow_download)
    return _identity(role, located, checked_dtype(dtype), backend, options_of(role, options))


def _identity(role: Role, located: Checkpoint, dtype: str, backend: str, options: Options) -> dict[str, Any]:
    values = {"dtype": dtype, **described(options)}
    if role == "acoustic":  # its feature extractor computes slightly different numbers with torchaudio than without
        values["filter_bank"] = "torchaudio" if importlib.util.find_spec("torchaudio") else "numpy"
    return {
        "name": f"pretrained-{role}",
        "backend": backend,
        "checkpoint": located.name,
        "revision": located.revision,
        "options": values,
        "code": CODE_VERSIONS[role],
    }
