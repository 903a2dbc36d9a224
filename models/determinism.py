"""Deterministic algorithms in PyTorch: the same seed gives the same numbers, even with several threads."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def deterministic() -> Iterator[None]:
    """Use deterministic algorithms inside a `with` block.

    Without them, a sum of values that are scattered to the same index (the gradient of `x[index]`) depends on the order of
    the threads. An operation without a deterministic form (some on CUDA) issues a warning and continues.

    Example:
        >>> with deterministic():
        ...     torch.are_deterministic_algorithms_enabled()
        True
    """
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
