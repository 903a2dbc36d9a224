"""Every write fails once; after the next run the store is as if nothing had happened, or the damage is named."""

import errno
import random

import numpy as np
import pytest

from storage.durable import StoreError, exclusive, make_folder
from storage.store import Store
from tests.drill.every_write import Trials
from tests.drill.file_operations import Fault, recorded
from tests.drill.power_cut import Disk
from tests.drill.small_run import PARTS

WAYS = [(code, how) for code in (errno.EIO, errno.ENOSPC) for how in ("before", "torn", "after")]


def wrong(trials) -> list[str]:
    return [f"{what}: {problem}" for what, problems in trials for problem in problems]


@pytest.mark.parametrize(("part", "day"), [("stage", 2), ("table", 1), ("log", 2)])
def test_no_power_cut_loses_what_was_finished(tmp_path, part, day):
    assert wrong(Trials(tmp_path, part, day).power_cuts()) == []


@pytest.mark.parametrize(("part", "day"), [("stage", 2), ("table", 2), ("log", 2)])
def test_an_operation_that_fails_is_made_good_by_the_next_run(tmp_path, part, day):
    assert wrong(Trials(tmp_path, part, day).failures(WAYS)) == []


@pytest.mark.parametrize("part", ["table", "log"])
def test_a_flipped_bit_is_found_or_makes_no_difference(tmp_path, part):
    assert wrong(Trials(tmp_path, part, 2).flipped_bits(random.Random(1), 2)) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("day", [1, 2])
@pytest.mark.parametrize("part", PARTS)
def test_every_operation_of_every_part(tmp_path, part, day):
    trials = Trials(tmp_path, part, day)
    assert wrong(trials.power_cuts(reordered=True)) == []
    assert wrong(trials.failures(WAYS)) == []
    assert wrong(trials.flipped_bits(random.Random(day), 4)) == []


def after_power_cut(root, work, how="only what was flushed"):
    """The folder that a power cut after `work` leaves of an empty one."""
    root.mkdir()
    with recorded(root) as recorder:
        work()
    disk = Disk()
    for operation in recorder.operations:
        disk.write(operation.changed)
        disk.follow(operation)
    return {state.how: state.files for state in disk.states(0, reordered=False)}[how]


def test_the_folders_of_finished_rows_survive_a_power_cut(tmp_path):
    root = tmp_path / "store"
    files = after_power_cut(root, lambda: make_folder(root / "a" / "b" / "c"))
    assert files.keys() == {"a", "a/b", "a/b/c"}


@pytest.mark.parametrize(
    ("how", "left"),
    [
        ("only what was flushed", {}),
        ("all names, but contents only as flushed", {"named": b""}),
        ("all names, the contents not flushed cut in half", {"named": b"wh"}),
        ("everything (the process was killed)", {"named": b"whole"}),
    ],
)
def test_a_rename_without_flushing(tmp_path, how, left):
    """The simulation sees what it is for."""

    def work():
        (tmp_path / "store" / "scratch").write_text("whole")
        (tmp_path / "store" / "scratch").rename(tmp_path / "store" / "named")

    assert after_power_cut(tmp_path / "store", work, how) == left


def test_the_files_in_a_version_s_folders_survive_a_power_cut(tmp_path):
    root = tmp_path / "store"

    def work():
        with Store(root).artifact("model").new(inputs_hash="i", fingerprint="f") as folder:
            (folder / "seeds").mkdir()
            (folder / "seeds" / "0").write_text("weights")

    assert after_power_cut(root, work)["artifacts/model/000001/seeds/0"] == b"weights"


@pytest.mark.parametrize("kind", ["open", "lock", "truncate", "write"])
def test_a_lock_that_cannot_be_taken_is_named(tmp_path, kind):
    def work():
        with exclusive(tmp_path / "store" / "one.lock", doing="testing"):
            pass

    (tmp_path / "store").mkdir()
    with recorded(tmp_path / "store") as recorder:
        work()
    number = [operation.kind for operation in recorder.operations].index(kind)
    with (
        recorded(tmp_path / "store", Fault(number, errno.ENOLCK)),
        pytest.raises(StoreError, match=r"one\.lock: .*No locks available"),
    ):
        work()


def test_a_version_that_the_disk_cannot_take_is_named(tmp_path):
    artifact = Store(tmp_path / "store").artifact("model")

    def work():
        with artifact.new(inputs_hash="i", fingerprint="f") as folder:
            np.save(folder / "weights.npy", np.arange(3))

    work()  # later versions find their folders made
    with recorded(tmp_path / "store") as recorder:
        work()
    kinds = [operation.kind for operation in recorder.operations]
    written = next(n for n, kind in enumerate(kinds) if recorder.operations[n].path.endswith("npy") and kind == "write")
    with (
        recorded(tmp_path / "store", Fault(written, errno.EIO)),
        pytest.raises(
            StoreError, match=r"artifacts/model: the disk failed \(Input/output error\)\. Check the disk and"
        ),
    ):
        work()
