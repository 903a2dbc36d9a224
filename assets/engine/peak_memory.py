"""Largest memory that a block of code needs."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import torch

INTERVAL = 0.05  # seconds between two looks
STATM = Path("/proc/self/statm")


class PeakMemory:
    """Measure the largest memory during a block: of the GPU if the block runs there, else resident memory of the process.

    Resident memory is sampled every `INTERVAL` seconds and includes what the process held before the block.

    Example:
        >>> with PeakMemory("cpu") as memory:
        ...     pass
        >>> memory.mb is None or memory.mb > 1
        True
    """

    def __init__(self, device: torch.device | str) -> None:
        """Prepare a measurement.

        Args:
            device: Device of the block.
        """
        self.mb: float | None = None  # MiB; None where the system does not tell
        self._gpu = torch.device(device) if torch.device(device).type == "cuda" else None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        """Start to measure."""
        if self._gpu is not None:
            torch.cuda.reset_peak_memory_stats(self._gpu)
        elif STATM.exists():
            self._look()
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the measurement; `mb` is the result."""
        if self._gpu is not None:
            self.mb = torch.cuda.max_memory_allocated(self._gpu) / 2**20
        elif self._thread.is_alive():
            self._ended.set()
            self._thread.join()
            self._look()

    def _watch(self) -> None:
        while not self._ended.wait(INTERVAL):
            self._look()

    def _look(self) -> None:
        pages = int(STATM.read_text(encoding="ascii").split()[1])
        self.mb = max(self.mb or 0.0, pages * os.sysconf("SC_PAGE_SIZE") / 2**20)
