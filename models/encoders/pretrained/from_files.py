"""Functions that load models and processors from a checkpoint's folder. A fault of the files is a CheckpointError."""

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
    """Load a model onto a device, in evaluation mode.

    transformers fills missing weights with random numbers and only warns. Here a missing weight is an error.

    Args:
        kind: Class of the model, with a method `from_pretrained`.
        checkpoint: The files.
        device: PyTorch's name of the device.
        dtype: PyTorch's name of the number format.
        attention: Attention kernel; by default transformers decides.
        arguments: Further keyword arguments of `from_pretrained`.

    Raises:
        CheckpointError: The checkpoint is damaged, or lacks weights of this model.
        EncoderError: The device or the attention kernel is not available.
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
        raise EncoderError(f"attention = {attention!r} is not available on this machine: {error}") from error
    wrong = sorted(report["missing_keys"]) + sorted(str(entry) for entry in report["mismatched_keys"])
    if wrong:
        raise CheckpointError(
            f"{checkpoint.name} in {checkpoint.folder} is no {type(model).__name__}: "
            f"{len(wrong)} weights are missing or have another shape, for example {wrong[0]}"
        )
    return model.to(target).eval()


@contextmanager
def quietly() -> Iterator[None]:
    """Switch off transformers' progress bars and warnings, among them the one about unused weights, which are expected."""
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
    """Call `loader` on the checkpoint's folder, offline.

    Args:
        loader: A `from_pretrained` of transformers.
        checkpoint: The files.
        arguments: Further keyword arguments of `loader`.

    Raises:
        CheckpointError: The files can't be loaded.
    """
    try:
        return loader(str(checkpoint.folder), local_files_only=True, **arguments)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise CheckpointError(f"{checkpoint.name} can't be loaded from {checkpoint.folder}: {error}") from error


def checked_device(device: str) -> torch.device:
    """Return a device by its name.

    Args:
        device: PyTorch's name: `cpu`, `cuda`, `cuda:1`.

    Raises:
        EncoderError: PyTorch doesn't know the name, or this machine has no such device.
    """
    try:
        target = torch.device(device)
    except RuntimeError as error:
        raise EncoderError(f"device {device!r} is unknown to PyTorch; use cpu, cuda or cuda:N ({error})") from error
    if target.type == "cuda" and (target.index or 0) >= torch.cuda.device_count():
        raise EncoderError(
            f"device {device!r} is not available: this machine has {torch.cuda.device_count()} CUDA devices"
        )
    return target
