"""How much memory a piece of work holds at its peak above what the process held before it (Linux).

No import but the standard library's, so that interpreters of other environments can run it too.
"""

from pathlib import Path

MEGABYTE = 1024.0  # the kernel counts kilobytes


class PeakMemory:
    """From its making: `megabytes()` is the peak since then, above what was held then."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # the peak is now what is held
        self._at_rest = _status("VmRSS")

    def megabytes(self) -> float:
        return (_status("VmHWM") - self._at_rest) / MEGABYTE


def _status(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return float(line.split()[1])
    raise OSError(f"/proc/self/status has no {name}")
