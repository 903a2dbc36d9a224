"""The same seed gives the same numbers, also with several threads."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def deterministic() -> Iterator[None]:
    """Inside, PyTorch takes the deterministic form of every operation that has one.

    Without it, sums that scatter to the same place (the gradient of `x[index]`) depend on which thread comes first. An
    operation that has no such form (some on CUDA) warns and goes on.
    """
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
