"""Peak memory of a piece of work above the memory that the process held before it (Linux).

No import but the standard library's, so that interpreters of other environments can run it too.
"""

from pathlib import Path

MEGABYTE = 1024.0  # the kernel counts kilobytes


class PeakMemory:
    """Peak memory since its construction: `megabytes()` is the peak minus the memory held at construction."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak to the memory held now
        self._at_rest = _status("VmRSS")

    def megabytes(self) -> float:
        return (_status("VmHWM") - self._at_rest) / MEGABYTE


class TreePeak:
    """Largest memory that a process and its descendants held together, over all calls of `look`.

    Pages that several processes share are divided among them, so nothing is counted twice.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.megabytes = 0.0

    def look(self) -> None:
        """Measure the tree once."""
        held = sum(_proportional(pid) for pid in _tree(self._pid))
        self.megabytes = max(self.megabytes, held / MEGABYTE)


def _tree(pid: int) -> list[int]:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(child) for thread in threads for child in (thread / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):  # it has ended
        return []
    return [pid, *(member for child in children for member in _tree(child))]


def _proportional(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next((float(line.split()[1]) for line in lines if line.startswith("Pss:")), 0.0)


def _status(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return float(line.split()[1])
    raise OSError(f"/proc/self/status has no {name}")
