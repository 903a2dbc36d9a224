"""Break runs at random moments, finish them, and compare the store with one that nothing happened to, row by row.

    python -m tests.drill [--faults 200] [--seed 0] [--folder FOLDER] [--keep]

Each trial starts from one of three stores (empty; complete, with three new videos, a changed title and new feedback;
complete, with changed parameters of the frames and of the process), breaks a run of the whole graph by one fault, runs it
again to its end, and compares. The faults:

    kill      SIGKILL to the run alone, at a random moment
    session   SIGKILL to the run and its workers
    worker    SIGKILL to one of its workers, if it has any then; the run goes on
    disk      the store's disk is full after a random number of bytes (a tmpfs where one can be mounted, a limit on the
              size of files otherwise); more space is made before it runs again
    hang      a video's file can be opened and never read (a pipe); it is mended before it runs again

Lost, doubled and corrupt rows are counted, and rows that were finished before the fault and are computed again.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.drill.run import ended, forked, kill_session, materialise, session_of

VIDEOS, UPLOADS = 16, 3
FAULTS = ("kill", "session", "worker", "disk", "hang")
QUICK = {
    "SAMPLING__FRAMES": "2",
    "SAMPLING__TIMEOUT_SECONDS": "20",
    "PROTOCOL__FRACTIONS": "[0.5, 0.25, 0.25]",
    "PROCESS__HIDDEN": "4",
    "PROCESS__STATE": "2",
    "PROCESS__MAX_EPOCHS": "1",
    "PROCESS__LENGTH": "8",
    "MODEL__DIM": "8",
    "MODEL__MAX_EPOCHS": "1",
    "MODEL__SEEDS": "[0]",
    "RETRIEVAL__NEIGHBOURS": "3",
    "RUN__WORKERS": "1",
    "RUN__SHARD_SIZE": "4",
    "RUN__FAILURE_LIMIT": "0.5",
}
CHANGED = {"SAMPLING__JPEG_QUALITY": "80", "PROCESS__SEED": "1"}
LIMIT = 600.0  # seconds after which a run counts as hung


class Drill:
    """The stores that trials start from, and what each must end as."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.log = folder / "run.log"
        self.seconds: dict[str, float] = {}  # of a run from each start without a fault
        self.growth: dict[str, int] = {}  # bytes that such a run adds to the store

    def variables(self, store: Path, data: Path, more: dict[str, str]) -> dict[str, str]:
        given = {
            **QUICK,
            **more,
            "DATA__FOLDER": str(data),
            "STORE__PATH": str(store),
            "STORE__RESULTS": str(store.parent / "results"),
            "STORE__MIN_FREE_MB": "0",
        }
        return {f"REELCAST_{name}": value for name, value in given.items()}

    def run(self, store: Path, data: Path, more: dict[str, str]) -> None:
        """One whole run, which must succeed."""
        pid = forked(lambda: materialise(self.variables(store, data, more)), self.log)
        code = ended(pid, within=LIMIT)
        if code:
            raise RuntimeError(f"a run without a fault ended with {code}; see {self.log}")

    def prepare(self) -> None:
        """Make the data, the stores to start from and the stores to compare with."""
        whole = self.folder / "whole"
        make = (
            "from pipeline.demonstration import make; import sys; make(sys.argv[1], videos=%d, uploads=%d, workers=1)"
        )
        subprocess.run([sys.executable, "-c", make % (VIDEOS, UPLOADS), str(whole)], check=True)
        part = self.folder / "part"
        shutil.copytree(whole, part)
        _take_away(part)
        self.more = {"empty": {}, "grown": {}, "changed": CHANGED}
        base = self.folder / "grown" / "start"
        _put(self.folder / "set", part)
        self.run(base, self.folder / "set", {})
        _put(self.folder / "set", whole)
        self._reference("empty")
        self._reference("grown")
        shutil.copytree(self.folder / "empty" / "end", self.folder / "changed" / "start")
        self._reference("changed")

    def _reference(self, name: str) -> None:
        start, end = self.folder / name / "start", self.folder / name / "end"
        if start.exists():
            shutil.copytree(start, end)
        started = time.monotonic()
        self.run(end, self.folder / "set", self.more[name])
        self.seconds[name] = time.monotonic() - started
        self.growth[name] = _blocks(end) - _blocks(start)

    def trial(self, name: str, fault: str, choose: random.Random) -> dict[str, object]:
        """Break a run and finish it; what was found."""
        place = self.folder / "trial"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        store, data = place / "store", self.folder / "set"
        mounted = fault == "disk" and _mount(store)
        if (self.folder / name / "start").exists():
            shutil.copytree(self.folder / name / "start", store, dirs_exist_ok=True)
        try:
            start = self._rows(store)
            told = self._break(name, fault, choose, store, data, mounted)
            if mounted:
                subprocess.run(["mount", "-o", "remount,size=512m", str(store)], check=True)
            broken = self._rows(store)
            self.run(store, data, self.more[name])
            ended_as = self._rows(store)
            mended = f"|{told.get('video')}"
            again = [
                key
                for key, at in broken.items()
                if start.get(key) != at and ended_as.get(key) != at and not key.endswith(mended)
            ]
            return {**told, "differences": self._compare(store, name), "again": again}
        finally:
            if mounted:
                subprocess.run(["umount", "-l", str(store)], check=True)

    def _break(
        self, name: str, fault: str, choose: random.Random, store: Path, data: Path, mounted: bool
    ) -> dict[str, object]:
        variables = self.variables(store, data, self.more[name])
        if fault == "hang":
            return self._hang(choose, variables, data)
        room = choose.randrange(4096, self.growth[name])
        if mounted:
            disk = os.statvfs(store)
            used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize
            subprocess.run(["mount", "-o", f"remount,size={used + room}", str(store)], check=True)

        def work() -> int:
            if fault == "disk" and not mounted:
                resource.setrlimit(resource.RLIMIT_FSIZE, (room // 100, room // 100))
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            return materialise(variables)

        pid = forked(work, self.log)
        moment = choose.uniform(0, self.seconds[name])
        if fault in ("kill", "session", "worker"):
            time.sleep(moment)
            victims = {"kill": [pid], "session": [*session_of(pid), pid], "worker": session_of(pid)[-1:]}[fault]
            for victim in victims:
                try:
                    os.kill(victim, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        code = ended(pid, within=LIMIT)
        if fault == "kill":
            kill_session(pid)  # workers of a dead run end by themselves; not waited for
        return {"moment": round(moment, 2), "code": code}

    def _hang(self, choose: random.Random, variables: dict[str, str], data: Path) -> dict[str, object]:
        # a duplicate is known as one only once it can be read, and what has a side of the split by then keeps it
        alone = self._apart(lambda compare: compare.without_duplicates(self.folder / "empty" / "end"))
        videos = sorted((data / "demo_videos").glob("*.mp4"))
        video = choose.choice([video for video in videos if video.stem in alone])
        aside = self.folder / "aside.mp4"
        stat = video.stat()
        video.rename(aside)
        os.mkfifo(video)
        try:
            variables = {**variables, "REELCAST_SAMPLING__TIMEOUT_SECONDS": "3"}
            code = ended(forked(lambda: materialise(variables), self.log), within=LIMIT)
        finally:
            video.unlink()
            aside.rename(video)
            os.utime(video, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        return {"video": video.stem, "code": code}

    def _rows(self, store: Path) -> dict[str, str]:
        """Rows that are finished."""

        def read(compare: ModuleType) -> object:
            return {"|".join(key): str(at) for key, at in compare.finished(store).items()}

        return self._apart(read)

    def _compare(self, store: Path, name: str) -> list[str]:
        return self._apart(lambda compare: compare.differences(store, self.folder / name / "end"))

    def _apart(self, read: Callable[[ModuleType], object]) -> Any:
        """What `read(tests.drill.compare)` returns, in a process of its own: no threads here before the next fork."""
        out, log = self.folder / "read.json", self.folder / "check.log"

        def work() -> int:
            from tests.drill import compare

            out.write_text(json.dumps(read(compare)))
            return 0

        code = ended(forked(work, log), within=LIMIT)
        if code:
            raise AssertionError(f"a store cannot be read after the fault; see {log}")
        return json.loads(out.read_text())


def _take_away(data: Path) -> None:
    """The set as it was some days before: without its last three videos, another title, and less feedback."""
    items = sorted(int(file.stem) for file in (data / "demo_videos").glob("*.mp4"))
    gone = {str(item) for item in items[-3:]}
    for item in gone:
        (data / "demo_videos" / f"{item}.mp4").unlink()
    for file in data.glob("*.csv"):
        lines = file.read_text().splitlines(keepends=True)
        column = lines[0].strip().split(",").index("item") if "item" in lines[0] else 0
        kept = [line for line in lines[1:] if line.split(",")[column] not in gone]
        if file.name == "demo_title_en.csv":
            kept[0] = kept[0].replace(kept[0].split(",", 1)[1], "an older title\n")
        if file.name == "demo_pairs.csv":
            kept = kept[: -len(kept) // 50]
        file.write_text("".join([lines[0], *kept]))


def _blocks(store: Path) -> int:
    """Bytes on the disk, in whole blocks."""
    return sum(file.lstat().st_blocks * 512 for file in store.rglob("*"))


def _put(place: Path, data: Path) -> None:
    """The set's one place: a store belongs to one folder. Times of change are kept."""
    if place.exists():
        shutil.rmtree(place)
    shutil.copytree(data, place)


def _mount(place: Path) -> bool:
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512m", "tmpfs", str(place)], capture_output=True)
    return done.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where the stores lie; a temporary folder by default")
    parser.add_argument("--keep", action="store_true", help="keep the folder")
    given = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "POLARS_MAX_THREADS"):
        os.environ.setdefault(name, "1")
    import pipeline.definitions  # noqa: F401  (imported once, here; every run is a fork)

    folder = given.folder or Path(tempfile.mkdtemp(prefix="reelcast-drill-"))
    folder.mkdir(parents=True, exist_ok=True)
    drill, choose = Drill(folder), random.Random(given.seed)
    drill.prepare()
    print("a run without a fault:", {name: f"{seconds:.1f} s" for name, seconds in drill.seconds.items()}, flush=True)
    counts: collections.Counter[str] = collections.Counter()
    bad = 0
    for number in range(1, given.faults + 1):
        name, fault = choose.choice(sorted(drill.seconds)), choose.choice(FAULTS)
        found = drill.trial(name, fault, choose)
        counts[fault] += 1
        wrong = bool(found["differences"] or found["again"])
        bad += wrong
        print(f"{number:4d} {name:8s} {fault:8s} {json.dumps(found) if wrong else found['code']}", flush=True)
    print(f"{given.faults} faults ({dict(counts)}): {bad} stores differ from one that nothing happened to")
    if not given.keep and given.folder is None:
        shutil.rmtree(folder)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
