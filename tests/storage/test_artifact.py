import multiprocessing
import os

import pytest

from storage.durable import BusyError, StoreError


def make(artifact, text: str, **options):
    draft = artifact.new(inputs_hash=text, fingerprint="f", **options)
    with draft as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "weights").write_text(text)
    return draft.version


def test_versions_are_made_beside_and_switched(store):
    artifact = store.artifact("model")
    assert artifact.current() is None and artifact.versions() == []
    first = make(artifact, "one", metadata={"loss": 0.5})
    assert artifact.current() == first
    assert (first.version, first.metadata, first.inputs_hash) == (1, {"loss": 0.5}, "one")
    assert (first.path / "sub" / "weights").read_text() == "one"
    second = make(artifact, "two", activate=False)
    assert artifact.current() == first
    artifact.activate(second.version)
    assert artifact.current() == second
    assert artifact.is_current("two", "f") and not artifact.is_current("one", "f")
    assert [version.version for version in artifact.versions()] == [1, 2]


def test_metadata_may_be_filled_while_writing(store):
    artifact, metadata = store.artifact("model"), {}
    with artifact.new(inputs_hash="i", fingerprint="f", metadata=metadata):
        metadata["loss"] = 0.25
    assert artifact.current().metadata == {"loss": 0.25}


def test_rolling_back_goes_to_what_was_in_service_before(store):
    artifact = store.artifact("model")
    for text in "abc":
        make(artifact, text)
    artifact.activate(1)
    assert artifact.rollback().version == 3
    assert artifact.rollback().version == 2
    assert artifact.current().version == 2
    with pytest.raises(StoreError, match="no version was in service before"):
        artifact.rollback()


def test_an_error_leaves_no_version(store):
    artifact = store.artifact("model")
    make(artifact, "one")
    with pytest.raises(RuntimeError, match="training"), artifact.new(inputs_hash="i", fingerprint="f") as folder:
        (folder / "weights").write_text("half")
        raise RuntimeError("training")
    assert [version.version for version in artifact.versions()] == [1]
    assert not [path for path in artifact.folder.iterdir() if path.name.startswith(".writing")]
    assert make(artifact, "two").version == 2


def test_a_version_that_is_not_there(store):
    artifact = store.artifact("model")
    make(artifact, "one")
    with pytest.raises(StoreError, match="there is no version 7; kept are 1"):
        artifact.activate(7)


def test_pruning_keeps_the_newest_and_the_one_in_service(store):
    artifact = store.artifact("model")
    for text in "abcde":
        make(artifact, text)
    artifact.activate(1)
    artifact.prune(keep=2)
    assert [version.version for version in artifact.versions()] == [1, 4, 5]
    assert artifact.rollback().version == 5


def _try_to_make(artifact, answers):
    try:
        make(artifact, "other")
    except BusyError as error:
        answers.put(str(error))


def test_one_process_at_a_time_makes_a_version(store):
    artifact = store.artifact("model")
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    with artifact.new(inputs_hash="i", fingerprint="f"):
        other = context.Process(target=_try_to_make, args=(artifact, answers))
        other.start()
        answer = answers.get(timeout=30)
        other.join()
    assert f"process {os.getpid()} is making a version right now" in answer
    assert [version.inputs_hash for version in artifact.versions()] == ["i"]
    assert make(artifact, "after").version == 2


def numbers(artifact) -> list[int]:
    return [version.version for version in artifact.versions()]


def test_what_was_in_service_is_kept_beside_newer_versions_that_never_were(store):
    artifact = store.artifact("model")
    for text in "ab":
        make(artifact, text)
    for text in "cdef":
        make(artifact, text, activate=False)
    assert artifact.prune(keep=2) == [3, 4]
    assert numbers(artifact) == [1, 2, 5, 6]
    assert artifact.rollback().version == 1


def test_a_pinned_version_stays_in_service_and_is_never_removed(store):
    artifact = store.artifact("model")
    for text in "ab":
        make(artifact, text)
    artifact.pin(1)
    assert (artifact.pinned(), artifact.current().version) == (1, 1)
    for text in "cde":
        assert make(artifact, text).version > 2
    assert artifact.current().version == 1
    with pytest.raises(StoreError, match="version 1 is pinned, so version 2 cannot come into service; unpin it first"):
        artifact.activate(2)
    with pytest.raises(StoreError, match="version 1 is pinned"):
        artifact.rollback()
    artifact.prune(keep=1)
    assert numbers(artifact) == [1, 5]
    artifact.unpin()
    assert (artifact.pinned(), artifact.current().version) == (None, 1)
    artifact.activate(5)
    assert artifact.current().version == 5


def test_a_version_being_read_is_removed_only_after_its_reader(store):
    artifact = store.artifact("model")
    for text in "abc":
        make(artifact, text)
    hold = artifact.read(1).hold()
    assert artifact.prune(keep=1) == [2]
    with pytest.raises(StoreError, match="version 1 is being read"):
        artifact.remove(1)
    assert numbers(artifact) == [1, 3]
    hold.release()
    artifact.remove(1)
    assert numbers(artifact) == [3]
    with pytest.raises(StoreError, match="version 3 is in service"):
        artifact.remove(3)


def _hold_and_die(version, held):
    version.hold()
    kept = version.hold()
    held.set()
    os.kill(os.getpid(), 9)
    kept.release()


def test_a_reader_that_was_killed_holds_nothing(store):
    artifact = store.artifact("model")
    for text in "ab":
        make(artifact, text)
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    reader = context.Process(target=_hold_and_die, args=(artifact.read(1), held))
    reader.start()
    assert held.wait(30)
    reader.join()
    artifact.remove(1)
    assert numbers(artifact) == [2]


def test_a_version_that_is_gone_cannot_be_held(store):
    artifact = store.artifact("model")
    for text in "ab":
        make(artifact, text)
    first = artifact.read(1)
    artifact.remove(1)
    with pytest.raises(FileNotFoundError):
        first.hold()


def test_notes_are_added_to_the_metadata_and_change_nothing_else(store):
    artifact = store.artifact("model")
    made = make(artifact, "a", metadata={"loss": 0.5})
    noted = artifact.annotate(1, {"status": "refused"})
    assert noted.metadata == {"loss": 0.5, "status": "refused"}
    assert (noted.inputs_hash, noted.created_at) == (made.inputs_hash, made.created_at)
    assert artifact.find(1) == noted
    with pytest.raises(StoreError, match="there is no version 9; kept are 1"):
        artifact.find(9)
