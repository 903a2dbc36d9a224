"""Checkpoint of a training: a training that was killed continues from it, with the same result to the bit."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

SECONDS = 30.0  # least time between two checkpoints
SHARE = 0.02  # largest share of the time that writing may take


class Checkpoint:
    """A file that holds the state of one training while the training runs.

    It is written atomically: a kill at any moment leaves the last complete checkpoint. A checkpoint of another fingerprint,
    or one that cannot be read, is removed, and the training starts anew.

    Attributes:
        file: The file. It exists only between the first checkpoint and the end of the training.
        fingerprint: Names everything that determines the training's result: data, options, code.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> checkpoint = Checkpoint(Path(folder.name) / "training.pt", fingerprint="data 1, options 2", seconds=0.0)
        >>> checkpoint.write_if_due(lambda: {"step": 7})
        >>> checkpoint.read()
        {'step': 7}
        >>> print(Checkpoint(checkpoint.file, fingerprint="data 2, options 2").read())
        None
        >>> folder.cleanup()
    """

    def __init__(self, file: Path, *, fingerprint: str, seconds: float = SECONDS) -> None:
        """Refer to a checkpoint; the file need not exist yet.

        Args:
            file: The file. Its folder is created when the first checkpoint is written.
            fingerprint: See the class. The version of PyTorch is added.
            seconds: Least time between two checkpoints. A checkpoint that takes long to write is written less often, so that
                writing takes at most 2 % of the time.
        """
        self.file, self.fingerprint = file, f"{fingerprint}, torch {torch.__version__}"
        self._least, self._wait, self._last = seconds, seconds, time.monotonic()

    def read(self) -> dict[str, Any] | None:
        """Return the state that was written last; None if there is none with this fingerprint."""
        try:
            held = torch.load(self.file, map_location="cpu", weights_only=True)
            if held["fingerprint"] == self.fingerprint:
                return held["state"]
        except Exception:  # damaged on disk or no checkpoint: PyTorch's reader raises errors of any type then
            pass
        self.remove()
        return None

    def write_if_due(self, state: Callable[[], dict[str, Any]]) -> None:
        """Write the state, unless the last checkpoint is too recent.

        Args:
            state: Returns tensors, numbers, strings, and lists and dicts of these. It is called only if the state is written.
        """
        began = time.monotonic()
        if began - self._last < self._wait:
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        beside = self.file.with_name(f".{self.file.name}.{os.getpid()}")
        try:
            with beside.open("wb") as stream:
                torch.save({"fingerprint": self.fingerprint, "state": state()}, stream)
                stream.flush()
                os.fsync(stream.fileno())
            beside.replace(self.file)
        finally:
            beside.unlink(missing_ok=True)
        self._last = time.monotonic()
        self._wait = max(self._least, (self._last - began) / SHARE)

    def remove(self) -> None:
        """Remove the file, if there is one."""
        self.file.unlink(missing_ok=True)
