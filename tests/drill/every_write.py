"""Every write fails once: a small run is broken at each of its operations on files, and must recover each time.

    python -m tests.drill.every_write [--parts stage table ...] [--bits 40] [--seed 0]

For each part of the small run (`tests.drill.small_run`) and each of two days:

    power cut   each folder that a power cut may leave behind (`tests.drill.power_cut`)
    failure     each operation fails: nothing of it was done, half of what it writes was written, or all was done
    bit         one bit of each file of the finished store is flipped, at random places

The next run must end with what a run without a fault ends with, and must not compute again what was finished before. An
operation that fails must end the run with an error that names a file of the store, or do no harm. A flipped bit must be found
by `reelcast check --deep`, or make no difference.
"""

from __future__ import annotations

import argparse
import errno
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from storage import artifact_version, state_cache
from storage.check import Finding, check_store
from storage.damage import logger
from storage.durable import StoreError
from tests.drill.file_operations import Fault, Operation, recorded
from tests.drill.power_cut import power_cuts
from tests.drill.small_run import PARTS, content, run

RUNS = 3  # a run that meets damage says "run again", once for each kind of thing that is damaged
COMMAND = re.compile(r"\brm (-r )?/[^\s;),]+")
WRITES = ("write", "parquet", "faiss", "database")


class Trials:
    """One day's run of one part of the small run.

    Attributes:
        operations: What it does to files, without a fault.
        clean: What the store holds after it.
    """

    def __init__(self, folder: Path, part: str, day: int):
        """Make the store before that day, and record the run.

        Args:
            folder: An empty folder.
            part: A name in `PARTS`.
            day: 1 or 2.
        """
        self.part, self.day = part, day
        self.root, self._start, self._end = folder / "store", folder / "start", folder / "end"
        needs = PARTS[part].needs
        self._parts = (*needs, part)
        self.root.mkdir()
        with unflushed():
            if day == 2:
                run(self.root, 1, self._parts)
            if needs:
                run(self.root, day, needs)
            _copy(self.root, self._start)
            forget()
            with recorded(self.root) as recorder:
                run(self.root, day, [part], done=recorder.mark)
            _copy(self.root, self._end)
            self.operations: list[Operation] = recorder.operations
            self.clean = content(self.root, self._parts)

    def __str__(self) -> str:
        return f"{self.part}, day {self.day}"

    @property
    def count(self) -> int:
        """The number of operations."""
        return sum(operation.kind != "mark" for operation in self.operations)

    def power_cuts(self, *, reordered: bool = False) -> Iterator[tuple[str, list[str]]]:
        """Yield each power cut and what is wrong after it; see `tests.drill.power_cut.power_cuts`."""
        for state in power_cuts(self.operations, self._start, reordered=reordered):
            shutil.rmtree(self.root)
            state.write(self.root)
            finished = {one.path for one in self.operations[: state.number] if one.kind == "mark"}
            yield f"{self}, power cut after operation {state.number}: {state.how}", self._recover(finished)

    def failures(self, ways: Sequence[tuple[int, str]]) -> Iterator[tuple[str, list[str]]]:
        """Yield each operation that fails and what is wrong then.

        Args:
            ways: (errno, how) as in `Fault`; the operations take turns with them.
        """
        kinds = [operation.kind for operation in self.operations if operation.kind != "mark"]
        for number, kind in enumerate(kinds):
            code, how = ways[number % len(ways)]
            fault = Fault(number, code, how if how != "torn" or kind in WRITES else "before")
            _copy(self._start, self.root)
            wrong = self._broken(fault)
            what = f"{self}, operation {number} ({kind}) fails with {errno.errorcode[code]}, {fault.how}"
            yield what, wrong + self._recover(set())

    def _broken(self, fault: Fault) -> list[str]:
        forget()
        try:
            with unflushed(), recorded(self.root, fault):
                run(self.root, self.day, [self.part])
        except StoreError:
            return []
        except Exception as error:
            return [] if str(self.root) in str(error) else [f"the error names no file: {type(error).__name__}: {error}"]
        return []

    def flipped_bits(self, choose: random.Random, bits: int) -> Iterator[tuple[str, list[str]]]:
        """Yield flipped bits of the finished store and what is wrong then.

        Args:
            choose: Chooses the bits.
            bits: Number of bits per file.
        """
        names = [str(file.relative_to(self._end)) for file in sorted(self._end.rglob("*")) if file.is_file()]
        for name in names:
            size = (self._end / name).stat().st_size
            for _ in range(bits if size else 0):
                _copy(self._end, self.root)
                place, bit = choose.randrange(size), choose.randrange(8)
                with (self.root / name).open("r+b") as file:
                    file.seek(place)
                    value = file.read(1)[0]
                    file.seek(place)
                    file.write(bytes([value ^ 1 << bit]))
                named = bool(_problems(self.root))
                wrong = [] if named else self._unnoticed(name)
                lost = named and not PARTS[self.part].made_again
                yield f"{self}, bit {bit} of byte {place} of {name}", wrong + self._recover(set(), lost=lost)

    def _unnoticed(self, name: str) -> list[str]:
        """Return what is wrong if a flipped bit that `check` does not find has an effect."""
        forget()
        try:
            with unflushed(), quiet():
                same = content(self.root, self._parts) == self.clean
        except StoreError:  # it was found now
            return []
        return [] if same else [f"{name} has other content, and check --deep does not find it"]

    def _recover(self, finished: set[str], *, lost: bool = False) -> list[str]:
        """Run, and do what errors and `check` say, until nothing is in the way; return what is wrong with the store then.

        Args:
            finished: What must not be computed again.
            lost: Whether something was lost that no run can make again.
        """
        done: list[str] = []
        for _ in range(RUNS):
            forget()
            try:
                with unflushed(), quiet():
                    run(self.root, self.day, self._parts, done=done.append)
                left = [f"check still finds {one.subject}: {one.problem}" for one in _follow_check(self.root)]
            except StoreError as error:
                _follow(str(error))
                left = [f"the next runs fail: {error}"]
            except Exception as error:
                return [f"the next run fails: {type(error).__name__}: {error}"]
            if not left:
                break
        else:
            return left
        with unflushed(), quiet():
            same = content(self.root, self._parts) == self.clean or lost
        wrong = [] if same else ["the store differs from one that nothing happened to"]
        if again := sorted(finished & set(done)):
            wrong.append(f"was finished and is computed again: {again}")
        return wrong


def _follow_check(root: Path) -> list[Finding]:
    """Do the commands of the problems that `check` finds, and return these."""
    found = _problems(root)
    for one in found:
        _follow(one.way_out)
    return found


def _problems(root: Path) -> list[Finding]:
    return [one for one in check_store(root, deep=True) if one.level == "problem"]


def _follow(text: str) -> None:
    """Do the command that a finding or an error names."""
    if found := COMMAND.search(text):
        subprocess.run(shlex.split(found[0]), check=True)


def _copy(source: Path, target: Path) -> None:
    """Replace a folder by a copy of another one, in which names of one file stay names of one file."""
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


def forget() -> None:
    """Forget what this process knows of the store's files: the next run is another process."""
    state_cache._kept.clear()
    artifact_version._verified.clear()


@contextmanager
def unflushed() -> Iterator[None]:
    """Do without the disk: what reaches it is simulated."""
    with patch.object(os, "fsync", lambda handle: None):
        yield


@contextmanager
def quiet() -> Iterator[None]:
    with patch.object(logger, "disabled", True):
        yield


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=sorted(PARTS), default=list(PARTS))
    parser.add_argument("--bits", type=int, default=40, help="flipped bits per file")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    choose, bad = random.Random(args.seed), 0
    ways = [(code, how) for code in (errno.EIO, errno.ENOSPC) for how in ("before", "torn", "after")]
    for part in args.parts:
        for day in (1, 2):
            with tempfile.TemporaryDirectory(prefix="reelcast-writes-") as folder:
                trials = Trials(Path(folder), part, day)
                kinds = {
                    "power cuts": trials.power_cuts(reordered=True),
                    "failures": (trial for way in ways for trial in trials.failures([way])),
                    "bits": trials.flipped_bits(choose, args.bits),
                }
                for kind, tried in kinds.items():
                    started, count, wrong = time.monotonic(), 0, 0
                    for what, problems in tried:
                        count += 1
                        wrong += bool(problems)
                        for problem in problems:
                            print(f"{what}: {problem}", flush=True)
                    bad += wrong
                    seconds = time.monotonic() - started
                    print(
                        f"{trials}: {trials.count} operations, {count} {kind}, {wrong} wrong, {seconds:.0f} s",
                        flush=True,
                    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
