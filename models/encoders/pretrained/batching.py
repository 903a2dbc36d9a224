"""Batches of a model's inputs: similar lengths together, as large as it pays, halved when memory runs out."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch

from models.encoders.errors import EncoderError
from models.encoders.isolated.child.memory import lacks_memory

Output = TypeVar("Output")
_log = logging.getLogger(__name__)


class Batches:
    """A splitter of inputs into batches.

    Attributes:
        size: Inputs per batch, at most. It is halved permanently whenever the device's memory runs out.
    """

    def __init__(self, size: int):
        """Begin with batches of at most `size` inputs.

        Raises:
            ValueError: `size` is below 1.
        """
        if size < 1:
            raise ValueError(f"batch_size must be at least 1, not {size}")
        self.size = size

    def run(
        self,
        inputs: Sequence[Any] | torch.Tensor,
        function: Callable[[Any], Sequence[Output]],
        *,
        lengths: Sequence[int] | None = None,
    ) -> list[Output]:
        """Apply `function` to batches and return one output per input, in the order of the inputs.

        Args:
            inputs: A sequence, or a tensor with one input per entry of its first axis.
            function: Takes a slice of the inputs and returns one output per input.
            lengths: One length per input. Inputs of similar lengths share a batch. The longest come first, so that a lack
                of memory shows in the first batch.

        Raises:
            EncoderError: A single input doesn't fit into memory; the message names its position.
        """
        order = list(range(len(inputs)))
        if lengths is not None:
            order.sort(key=lambda index: -lengths[index])
            inputs = [inputs[index] for index in order]
        outputs: list[Output | None] = [None] * len(order)
        done = 0
        while done < len(order):
            size = min(self.size, len(order) - done)
            try:
                batch = function(inputs[done : done + size])
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not out_of_memory(error):
                    raise
                if size == 1:
                    raise EncoderError(f"input {order[done]} doesn't fit into memory by itself: {error}") from error
                self.size = size // 2
                batch = None
            if batch is None:  # outside the handler: the exception references the tensors that must be freed
                _log.warning("out of memory with %d inputs per batch; continuing with %d", size, self.size)
                free_memory()
                continue
            for index, output in zip(order[done : done + size], batch, strict=True):
                outputs[index] = output
            done += size
        return outputs


def fastest_size(
    trial: Callable[[int], object], *, start: int = 8, most: int = 1024, gain: float = 1.05, name: str = "a model"
) -> int:
    """Measure batch sizes and return the one from which doubling no longer pays.

    Each size is run twice, so the measurement takes some seconds on a GPU.

    Args:
        trial: Runs a batch of the given size, and returns when the batch is done.
        start: The first size. If it doesn't fit into memory, half of it is tried, and so on.
        most: The largest size.
        gain: Factor by which the inputs per second must grow for the doubled size to be taken.
        name: Name of the model in log messages and errors.

    Raises:
        EncoderError: A single input doesn't fit into memory.
    """
    best, best_rate, size = 0, 0.0, start
    while size <= most:
        rate = _inputs_per_second(trial, size)
        if rate is None:
            free_memory()
            if best:
                break
            if size == 1:
                raise EncoderError(f"{name}: not even one input fits into the device's memory")
            size, most = size // 2, size // 2
            continue
        if rate < gain * best_rate:
            break
        best, best_rate = size, rate
        size *= 2
    _log.info("%s: %d inputs per batch, %.0f per second", name, best, best_rate)
    return best


def _inputs_per_second(trial: Callable[[int], object], size: int) -> float | None:
    """Return the inputs per second with batches of this size, or None if a batch doesn't fit into memory."""
    try:
        trial(size)  # not measured: the first run of a size also selects kernels and compiles
        started = time.perf_counter()
        trial(size)
        return size / max(time.perf_counter() - started, 1e-9)
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
    return None


def finite(values: torch.Tensor, what: str) -> torch.Tensor:
    """Return a tensor in float32 on the CPU, after checking that its numbers are finite.

    Args:
        values: (n, ...) outputs of a model.
        what: Name of the model, for the error.

    Raises:
        EncoderError: A number is NaN or infinite.
    """
    values = values.float().cpu()
    bad = ~torch.isfinite(values.reshape(len(values), -1)).all(1)
    if bad.any():
        raise EncoderError(f"{what}: {int(bad.sum())} of {len(values)} outputs are NaN or infinite")
    return values


def free_memory() -> None:
    """Release memory that no tensor uses."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that the device's or the machine's memory ran out."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or lacks_memory(str(error))
