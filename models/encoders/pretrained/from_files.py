"""Loading models and processors from a checkpoint's folder; whatever is wrong with it is a CheckpointError."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import transformers
from safetensors import SafetensorError
from transformers import PreTrainedModel

from models.encoders.errors import CheckpointError, EncoderError
from models.encoders.pretrained.checkpoints import Checkpoint

Loaded = TypeVar("Loaded")


def load_model(
    kind: type, checkpoint: Checkpoint, *, device: str, dtype: str, attention: str | None = None, **arguments: Any
) -> PreTrainedModel:
    """A model in evaluation mode on its device.

    Weights that the checkpoint lacks would be random numbers: that is an error here, not a warning.

    Raises:
        CheckpointError: The checkpoint isn't one of this kind of model.
        EncoderError: A device or an attention kernel that isn't there.
    """
    target = checked_device(device)
    if attention is not None:
        arguments["attn_implementation"] = attention
    try:
        with quietly():
            model, report = from_folder(
                kind.from_pretrained,
                checkpoint,
                dtype=getattr(torch, dtype),
                output_loading_info=True,
                **arguments,
            )
    except ImportError as error:
        raise EncoderError(f"attention = {attention!r} isn't there on this machine: {error}") from error
    wrong = sorted(report["missing_keys"]) + sorted(str(entry) for entry in report["mismatched_keys"])
    if wrong:
        raise CheckpointError(
            f"{checkpoint.name} in {checkpoint.folder} is no {type(model).__name__}: "
            f"{len(wrong)} weights are missing or of another shape, {wrong[0]} among them"
        )
    return model.to(target).eval()


@contextmanager
def quietly() -> Iterator[None]:
    """Without transformers' progress bars and its report of unused weights: a head that isn't wanted is no news."""
    verbosity, bars = transformers.logging.get_verbosity(), transformers.logging.is_progress_bar_enabled()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(verbosity)
        if bars:
            transformers.logging.enable_progress_bar()


def from_folder(loader: Callable[..., Loaded], checkpoint: Checkpoint, **arguments: Any) -> Loaded:
    """Call a `from_pretrained` on the checkpoint's folder, offline."""
    try:
        return loader(str(checkpoint.folder), local_files_only=True, **arguments)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise CheckpointError(f"{checkpoint.name} can't be loaded from {checkpoint.folder}: {error}") from error


def checked_device(device: str) -> torch.device:
    """The device; EncoderError where this machine doesn't have it."""
    try:
        target = torch.device(device)
    except RuntimeError as error:
        raise EncoderError(f"device {device!r} is none that PyTorch knows: {error}") from error
    if target.type == "cuda" and (target.index or 0) >= torch.cuda.device_count():
        raise EncoderError(
            f"device {device!r} was asked for; this machine has {torch.cuda.device_count()} CUDA devices"
        )
    return target
