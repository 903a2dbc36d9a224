"""Files are worked on in processes that can be killed."""

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from assets.workers import WorkerCrash, WorkersCannotStart, WorkerTimeout, in_processes


def behave(what: str) -> str:
    if what == "hang":
        time.sleep(60)
    if what == "crash":
        os._exit(11)
    if what == "fail":
        raise ValueError("not a video")
    return what.upper()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bad_file_costs_its_own_row_only(workers):
    calls = [("1", ("good",)), ("2", ("fail",)), ("3", ("hang",)), ("4", ("crash",)), ("5", ("last",))]
    found = dict(in_processes(behave, calls, workers=workers, timeout=1.5))
    assert list(found) == ["1", "2", "3", "4", "5"]
    assert (found["1"], found["5"]) == ("GOOD", "LAST")
    assert isinstance(found["2"], ValueError)
    assert isinstance(found["3"], WorkerTimeout)
    assert "1.5 s" in str(found["3"])
    assert isinstance(found["4"], WorkerCrash)


def die_at_first(mark: str) -> str:
    if not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def test_a_worker_that_was_killed_costs_nothing(tmp_path):
    calls = [("1", (str(tmp_path / "mark"),)), ("2", (str(tmp_path / "mark"),))]
    assert dict(in_processes(die_at_first, calls, workers=1, timeout=30)) == {"1": "done", "2": "done"}


def kill_at_start(count: int, stop: threading.Event) -> None:
    """SIGKILL to the first `count` worker processes of this one, before they can have begun to work."""
    killed = set()
    while not stop.is_set() and len(killed) < count:
        for task in Path("/proc/self/task").iterdir():
            with contextlib.suppress(OSError):
                for child in {int(pid) for pid in (task / "children").read_text().split()} - killed:
                    if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                        os.kill(child, signal.SIGKILL)
                        killed.add(child)


@pytest.fixture
def killer():
    stop = threading.Event()
    threads = []

    def start(count: int) -> None:
        threads.append(threading.Thread(target=kill_at_start, args=(count, stop)))
        threads[0].start()

    yield start
    stop.set()
    threads[0].join()


def test_workers_killed_while_they_start_cost_nothing(killer):
    killer(2)
    calls = [(str(number), ("good",)) for number in range(6)]
    assert set(dict(in_processes(behave, calls, workers=1, timeout=30)).values()) == {"GOOD"}


def test_workers_that_never_start_end_the_run(killer):
    killer(1000)
    with pytest.raises(WorkersCannotStart, match=r"3 times in a row.*run\.workers"):
        list(in_processes(behave, [("1", ("good",))], workers=1, timeout=30))


def test_calls_are_read_as_they_are_needed():
    read = []

    def calls():
        for number in range(40):
            read.append(number)
            yield str(number), ("x",)

    done = in_processes(behave, calls(), workers=1, timeout=30)
    next(done)
    assert len(read) < 10
    done.close()
