"""The models that the papers name, through transformers: ViT, AST, AnglE's UAE, BLIP-2 and CLAP.

Nothing here imports transformers before `load` is called: identities are known from files alone.
"""

from __future__ import annotations

import importlib.util
from typing import Any

from models.encoders.pretrained.checkpoints import PAPER, Checkpoint, locate
from models.encoders.pretrained.options import CODE_VERSION, Options, checked_dtype, described, options_of
from models.encoders.roles import Encoder, Role

__all__ = ["PAPER", "identity", "load"]

_BATCH_SIZES = {"visual": 64, "acoustic": 16, "text": 64, "captions": 16, "sounds": 16}


def load(
    role: Role,
    checkpoint: str,
    *,
    revision: str | None = None,
    device: str = "cpu",
    dtype: str | None = None,
    allow_download: bool = False,
    batch_size: int | None = None,
    **options: Any,
) -> Encoder:
    """Load a checkpoint for a role.

    Args:
        checkpoint: A folder, or a repository (owner/name) in this machine's Hugging Face cache.
        revision: Branch, tag or commit of a repository; the newest that is in the cache if None.
        device: As PyTorch names it: `cpu`, `cuda`, `cuda:1`.
        dtype: `float32` (default), `bfloat16` or `float16`.
        allow_download: Whether files that are missing may be fetched.
        batch_size: Inputs at once to begin with; halved for good when memory runs out. It doesn't change the output.
        options: Of the role; see `models.encoders.pretrained.options`.

    Raises:
        CheckpointError: The files are not there, not whole, or not of such a model.
        EncoderError: The device isn't there.
        ValueError: An unknown option or value.
    """
    chosen = options_of(role, options)
    dtype = checked_dtype(dtype)
    located = locate(role, checkpoint, revision=revision, allow_download=allow_download)
    arguments = {
        "identity": _identity(role, located, dtype, chosen),
        "device": device,
        "dtype": dtype,
        "batch_size": batch_size if batch_size is not None else _BATCH_SIZES[role],
    }
    match role:
        case "visual":
            from models.encoders.pretrained.visual import ViTEncoder

            return ViTEncoder(located, chosen, **arguments)
        case "acoustic":
            from models.encoders.pretrained.acoustic import ASTEncoder

            return ASTEncoder(located, chosen, **arguments)
        case "text":
            from models.encoders.pretrained.text import AnglEEncoder

            return AnglEEncoder(located, chosen, **arguments)
        case "captions":
            from models.encoders.pretrained.captions import BLIP2Captioner

            return BLIP2Captioner(located, chosen, **arguments)
        case "sounds":
            from models.encoders.pretrained.sounds import CLAPDescriber

            return CLAPDescriber(located, chosen, **arguments)


def identity(
    role: Role,
    checkpoint: str,
    *,
    revision: str | None = None,
    device: str = "cpu",
    dtype: str | None = None,
    allow_download: bool = False,
    batch_size: int | None = None,
    **options: Any,
) -> dict[str, Any]:
    """What `load` with the same arguments would have as its `identity`; reads no weights and imports no framework."""
    located = locate(role, checkpoint, revision=revision, allow_download=allow_download)
    return _identity(role, located, checked_dtype(dtype), options_of(role, options))


def _identity(role: Role, located: Checkpoint, dtype: str, options: Options) -> dict[str, Any]:
    values = {"dtype": dtype, **described(options)}
    if role == "acoustic":  # its feature extractor computes slightly different numbers with torchaudio than without
        values["filter_bank"] = "torchaudio" if importlib.util.find_spec("torchaudio") else "numpy"
    return {
        "name": f"pretrained-{role}",
        "backend": "transformers",
        "checkpoint": located.name,
        "revision": located.revision,
        "options": values,
        "code": CODE_VERSION,
    }
