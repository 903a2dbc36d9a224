"""Running a model over many inputs: batches of like lengths, halved when memory runs out, finite outputs only."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from models.encoders.errors import EncoderError

Input = TypeVar("Input")
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
        inputs: Sequence[Input],
        function: Callable[[list[Input]], Sequence[Output]],
        *,
        lengths: Sequence[int] | None = None,
    ) -> list[Output]:
        """Apply `function` to batches and return one output an input, in the inputs' order.

        Args:
            lengths: One an input; inputs of like lengths share a batch, the longest first, so that memory runs out at
                once if it does.

        Raises:
            EncoderError: Not even a batch of one fits, or an output isn't finite; it names the input's place.
        """
        order = list(range(len(inputs)))
        if lengths is not None:
            order.sort(key=lambda index: -lengths[index])
        outputs: list[Output | None] = [None] * len(inputs)
        done = 0
        while done < len(order):
            chosen = order[done : done + self.size]
            try:
                batch = function([inputs[index] for index in chosen])
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not _out_of_memory(error):
                    raise
                if len(chosen) == 1:
                    raise EncoderError(f"input {chosen[0]} doesn't fit into memory by itself: {error}") from error
                self.size = len(chosen) // 2
                batch = None
            if batch is None:  # outside the handler: the exception holds on to the tensors that must go
                _log.warning("out of memory with %d inputs a batch; going on with %d", len(chosen), self.size)
                gc.collect()
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
                continue
            for index, output in zip(chosen, batch, strict=True):
                outputs[index] = output
            done += len(chosen)
        return outputs


def finite(values: torch.Tensor, what: str) -> torch.Tensor:
    """The tensor in float32 on the CPU; EncoderError if a number of it is NaN or infinite."""
    values = values.float().cpu()
    bad = ~torch.isfinite(values.reshape(len(values), -1)).all(1)
    if bad.any():
        raise EncoderError(f"{what}: {int(bad.sum())} of {len(values)} outputs of a batch are NaN or infinite")
    return values


def _out_of_memory(error: BaseException) -> bool:
    # PyTorch raises a plain RuntimeError where the CPU's memory runs out.
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)
