"""Decoding workers: a call that crashes or hangs fails alone, and killed workers are replaced."""

import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from assets.engine.decoding_workers import WorkerCrash, WorkersCannotStart, WorkerTimeout, in_processes


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


def children() -> set[int]:
    """Worker processes of this one."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text().split():
                if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                    found.add(int(child))
    return found


def kill_at_start(count: int, stop: threading.Event) -> None:
    """SIGKILL to the first `count` worker processes of this one, before they can have begun to work."""
    killed = set()
    while not stop.is_set() and len(killed) < count:
        for child in children() - killed:
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


def test_workers_killed_while_they_wait_cost_nothing():
    calls = [(str(number), ("good",)) for number in range(40)]
    found = in_processes(behave, calls, workers=3, timeout=30)
    done, idle = dict([next(found)]), set()
    until = time.monotonic() + 60
    while len(idle) < 3:  # all start at once; who reads no result keeps them waiting
        assert time.monotonic() < until
        time.sleep(0.05)
        idle = children()
    time.sleep(1.0)
    for worker in idle:
        os.kill(worker, signal.SIGKILL)
    time.sleep(0.2)
    done |= dict(found)
    assert set(done.values()) == {"GOOD"} and len(done) == 40


def kill_at_random(killed: list[int], stop: threading.Event) -> None:
    """SIGKILL to a worker now and then: while it starts, waits, works, or is halfway through sending a result."""
    rng = random.Random(5)
    while not stop.wait(rng.uniform(0.0, 0.4)):
        if alive := sorted(children()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(rng.choice(alive), signal.SIGKILL)
                killed.append(1)


def filled(letter: str) -> str:
    time.sleep(0.01)
    return letter * 2_000_000  # more than a pipe holds


def test_workers_killed_at_any_moment_harm_no_other_call(monkeypatch):
    monkeypatch.setattr(
        "assets.engine.decoding_workers.STARTS", 1000
    )  # on a busy machine many of them are killed while they start
    killed, stop = [], threading.Event()
    thread = threading.Thread(target=kill_at_random, args=(killed, stop))
    thread.start()
    try:
        until_killed = itertools.takewhile(lambda _: len(killed) < 8, itertools.count())
        calls = ((str(number), (chr(97 + number % 26),)) for number in until_killed)
        found = list(in_processes(filled, calls, workers=3, timeout=60))
    finally:
        stop.set()
        thread.join()
    assert [item for item, _ in found] == [str(number) for number in range(len(found))]
    lost = [outcome for number, (_, outcome) in enumerate(found) if outcome != chr(97 + number % 26) * 2_000_000]
    assert all(
        isinstance(outcome, WorkerCrash) for outcome in lost
    )  # it was killed on the same call twice, and says so
    assert 2 * len(lost) <= len(killed)


def note_and_hang(mark: str) -> None:
    Path(mark).write_text(str(os.getpid()))
    time.sleep(300)


def test_a_worker_that_hangs_does_not_outlive_a_killed_run(tmp_path):
    mark = tmp_path / "mark"
    code = (
        "import sys; sys.path[:0] = sys.argv[1:3]\n"
        "from assets.engine.decoding_workers import in_processes\n"
        "from test_decoding_workers import note_and_hang\n"
        "list(in_processes(note_and_hang, [('1', (sys.argv[3],))], workers=1, timeout=300))"
    )
    here = Path(__file__)
    run = subprocess.Popen([sys.executable, "-c", code, str(here.parents[2]), str(here.parent), str(mark)])
    until = time.monotonic() + 60
    while not (mark.exists() and mark.read_text()):
        assert run.poll() is None and time.monotonic() < until
        time.sleep(0.02)
    worker = int(mark.read_text())
    run.kill()
    run.wait()
    while Path(f"/proc/{worker}").exists() and "Z" not in Path(f"/proc/{worker}/stat").read_text().split()[2]:
        assert time.monotonic() < until, "the worker outlived its run"
        time.sleep(0.02)


class Spoilt(Exception):
    """Can be sent, but not received: as many a library's."""

    def __init__(self, code: int, words: str):
        super().__init__(words)


def spoil() -> None:
    raise Spoilt(5, "codec 5 is unknown")


def test_an_error_that_cannot_be_sent_arrives_in_words():
    ((_, outcome),) = in_processes(spoil, [("1", ())], workers=1, timeout=30)
    assert type(outcome) is RuntimeError and str(outcome) == "Spoilt: codec 5 is unknown"


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
