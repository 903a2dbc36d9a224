"""Running a model over many inputs: batches of like lengths, as large as pays, halved when memory runs out."""

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
    """Splits inputs into batches of at most `size`, which shrinks for good when the device's memory runs out."""

    def __init__(self, size: int):
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
        """Apply `function` to batches and return one output an input, in the inputs' order.

        Args:
            inputs: A sequence, or a tensor whose first axis it is; `function` is given slices of it.
            lengths: One an input; inputs of like lengths share a batch, the longest first, so that memory runs out at
                once if it does.

        Raises:
            EncoderError: Not even a batch of one fits; it names the input's place.
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
            if batch is None:  # outside the handler: the exception holds on to the tensors that must go
                _log.warning("out of memory with %d inputs a batch; going on with %d", size, self.size)
                free_memory()
                continue
            for index, output in zip(order[done : done + size], batch, strict=True):
                outputs[index] = output
            done += size
        return outputs


def fastest_size(
    trial: Callable[[int], object], *, start: int = 8, most: int = 1024, gain: float = 1.05, name: str = "a model"
) -> int:
    """The batch size from which doubling no longer pays, found by trying.

    Args:
        trial: Runs a batch of the given size, and returns when it is done.
        start, most: The first and the largest size that is tried; half of `start` and so on, where that doesn't fit.
        gain: By which factor inputs a second must grow for the doubled size to be taken.

    Raises:
        EncoderError: Not even one input fits.
    """
    best, best_rate, size = 0, 0.0, start
    while size <= most:
        rate = _tried(trial, size)
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
    _log.info("%s: %d inputs a batch, %.0f a second", name, best, best_rate)
    return best


def _tried(trial: Callable[[int], object], size: int) -> float | None:
    """Inputs a second with batches of this size; None where they don't fit into memory."""
    try:
        trial(size)  # the first run of a size also chooses kernels and compiles
        started = time.perf_counter()
        trial(size)
        return size / max(time.perf_counter() - started, 1e-9)
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
    return None


def finite(values: torch.Tensor, what: str) -> torch.Tensor:
    """The tensor in float32 on the CPU; EncoderError if a number of it is NaN or infinite."""
    values = values.float().cpu()
    bad = ~torch.isfinite(values.reshape(len(values), -1)).all(1)
    if bad.any():
        raise EncoderError(f"{what}: {int(bad.sum())} of {len(values)} outputs are NaN or infinite")
    return values


def free_memory() -> None:
    """Give back what no tensor uses any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def out_of_memory(error: BaseException) -> bool:
    """Whether it is the device's or the machine's memory that ran out."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or lacks_memory(str(error))
