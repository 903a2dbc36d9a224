import threading
import uuid

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from storage import catalog
from storage.arrays import fixed
from storage.derived_store import derive_store
from storage.pack import open_pack
from storage.remote.connection import connect, remote_of
from storage.remote.objects import ObjectFolder, PutRefused, RemoteError
from storage.rows import Row
from storage.store import Store

PAYLOAD = pa.schema({"words": pa.int32()})


def row(item: str, words: int = 1) -> Row:
    return Row.ok(item, f"hash of {item}", {"words": words})


def words(store: Store) -> dict[str, int]:
    table = store.stage("title_words", PAYLOAD).read()
    return dict(zip(table["item"].to_pylist(), table["words"].to_pylist(), strict=True))


def commit(store: Store, *items: str, value: int = 1) -> None:
    store.stage("title_words", PAYLOAD).commit([row(item, value) for item in items], fingerprint="f")


def requests(store: Store) -> dict[str, int]:
    return dict(remote_of(store.root).objects.sent)


def spent(store: Store, before: dict[str, int]) -> dict[str, int]:
    return {name: count - before.get(name, 0) for name, count in requests(store).items() if count > before.get(name, 0)}


def test_a_second_worker_with_an_empty_folder_reads_what_the_first_wrote(worker):
    first = worker("first")
    commit(first, "7", "8")
    first.table("likes").write(pl.DataFrame({"item": ["7"]}), inputs_hash="i", fingerprint="f")
    with first.artifact("model").new(inputs_hash="i", fingerprint="f") as folder:
        (folder / "weights.bin").write_bytes(bytes(9000))
    first.append("metrics", pl.DataFrame({"loss": [0.5]}))

    second = worker("second")
    assert words(second) == {"7": 1, "8": 1}
    assert second.table("likes").read()["item"].to_list() == ["7"]
    version = second.artifact("model").current()
    assert not (version.path / "weights.bin").exists(), "a version is downloaded when it is read"
    with version.reading() as folder:
        assert (folder / "weights.bin").read_bytes() == bytes(9000)
    assert second.log("metrics").read()["loss"].to_list() == [0.5]
    assert {kind: second.names(kind) for kind in ("stages", "tables", "artifacts", "logs")} == {
        "stages": ["title_words"],
        "tables": ["likes"],
        "artifacts": ["model"],
        "logs": ["metrics"],
    }


def test_sql_reads_what_another_worker_wrote(worker):
    commit(worker("first"), "7")
    second = worker("second")
    with catalog.connect(second) as connection:
        assert connection.sql("SELECT item, words FROM title_words").fetchall() == [("7", 1)]
    commit(worker("first"), "8")
    with catalog.connect(second) as connection:
        assert connection.sql("SELECT count(*) FROM title_words").fetchall() == [(2,)]


def test_a_commit_is_one_put_and_one_conditional_put_and_nothing_is_listed(worker):
    store = worker("first")
    stage = store.stage("title_words", PAYLOAD)
    stage.commit([row("7")], fingerprint="f")
    before = requests(store)
    stage.commit([row("8")], fingerprint="f")
    assert spent(store, before) == {"get": 1, "put": 1, "put_if_match": 1}
    before = requests(store)
    assert len(stage.states()) == 2
    assert spent(store, before) == {"get": 1}
    assert requests(store).get("list", 0) == 0


def test_another_workers_shard_is_seen_by_one_get(worker):
    first, second = worker("first"), worker("second")
    commit(first, "7")
    stage = second.stage("title_words", PAYLOAD)
    assert len(stage.states()) == 1
    commit(first, "8")
    before = requests(second)
    assert sorted(stage.states()["item"]) == ["7", "8"]
    # the manifest is read again under the folder's lock, then the new part
    assert spent(second, before) == {"get": 2, "read": 1}


def test_commit_numbers_grow_across_workers_whose_clocks_differ(worker, monkeypatch):
    commit(worker("first"), "7", value=1)
    monkeypatch.setattr("storage.durable.time.time_ns", lambda: 1000)
    commit(worker("second"), "7", value=2)
    assert words(worker("third")) == {"7": 2}


def test_workers_that_commit_at_once_lose_nothing(worker):
    stores = [worker(f"worker {number}") for number in range(4)]

    def work(number: int) -> None:
        for shard in range(3):
            commit(stores[number], f"{number}-{shard}")

    threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = {f"{number}-{shard}": 1 for number in range(4) for shard in range(3)}
    assert all(words(store) == expected for store in (*stores, worker("another")))


class Interrupted(ObjectFolder):
    """Objects whose next conditional put is preceded by the work of another writer."""

    between = None

    def put_if_match(self, name, content, tag):
        work, self.between = self.between, None
        if work is not None:
            work()
        return super().put_if_match(name, content, tag)


def interrupt(store: Store, work) -> None:
    """Let `work` happen just before the next conditional put of this worker."""
    objects = remote_of(store.root).objects
    objects.__class__ = Interrupted
    objects.between = work


ACTIONS = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["commit", "drop", "compact"]), st.integers(0, 3), st.booleans()),
    min_size=1,
    max_size=5,
)


@hypothesis_settings(max_examples=8, deadline=None)
@given(actions=ACTIONS)
def test_any_interleaving_of_two_writers_gives_the_rows_of_some_order(tmp_path_factory, actions):
    url, folder = f"memory://{uuid.uuid4().hex}", tmp_path_factory.mktemp("workers")
    stores = {name: Store(connect(url, cache=folder / name)) for name in "ab"}
    expected: dict[str, int] = {}

    def act(name: str, what: str, item: str, value: int) -> None:
        stage = stores[name].stage("title_words", PAYLOAD)
        if what == "commit":
            stage.commit([row(item, value)], fingerprint="f")
            expected[item] = value
        elif what == "drop":
            stage.drop([item])
            expected.pop(item, None)
        else:
            stage.compact(publish=lambda: None, most_parts=0, retention=0)

    for number, (name, what, item, interrupted) in enumerate(actions):
        if interrupted:  # the other worker commits a row of its own between this one's upload and its manifest
            other = "b" if name == "a" else "a"
            interrupt(stores[name], lambda other=other, number=number: act(other, "commit", f"other {number}", number))
        act(name, what, str(item), number)
        interrupt(stores[name], None)
    assert words(stores["a"]) == words(stores["b"]) == expected


def test_two_workers_that_make_a_version_at_once_keep_both(worker):
    first, second = worker("first"), worker("second")

    def make(store: Store, content: bytes) -> None:
        with store.artifact("model").new(inputs_hash="i", fingerprint=content.hex()) as folder:
            (folder / "weights.bin").write_bytes(content * 9000)

    make(first, b"0")
    interrupt(first, lambda: make(second, b"2"))
    make(first, b"1")
    model = worker("third").artifact("model")
    assert [version.fingerprint for version in model.versions()] == [b"0".hex(), b"2".hex(), b"1".hex()]
    assert model.current().version == 3
    with model.current().reading() as folder:
        assert (folder / "weights.bin").read_bytes() == b"1" * 9000


def test_a_pointer_that_another_worker_moved_is_read_again_before_it_moves(worker):
    first, second = worker("first"), worker("second")
    for number in range(3):
        with first.artifact("model").new(inputs_hash="i", fingerprint=str(number)) as folder:
            (folder / "weights.bin").write_bytes(bytes(9000))
    model = first.artifact("model")
    interrupt(first, lambda: second.artifact("model").pin(2))
    with pytest.raises(RuntimeError, match="version 2 is pinned"):
        model.activate(1)
    assert model.current().version == 2
    assert model.pinned() == 2


def test_two_workers_that_write_a_table_at_once_keep_both_versions(worker):
    first, second = worker("first"), worker("second")

    def write(store: Store, value: int) -> None:
        store.table("likes").write(pl.DataFrame({"value": [value]}), inputs_hash=str(value), fingerprint="f")

    write(first, 0)
    interrupt(first, lambda: write(second, 2))
    write(first, 1)
    states = [state for state, _ in worker("third").table("likes").history()]
    assert [(state.version, state.inputs_hash) for state in states] == [(1, "0"), (2, "2"), (3, "1")]
    assert second.table("likes").read()["value"].to_list() == [1]


@pytest.mark.parametrize(
    "answer", [PutRefused("manifest.json"), RemoteError("timed out")], ids=["refused", "timed out"]
)
def test_a_put_whose_answer_was_lost_is_not_made_again(worker, answer):
    store = worker("first")
    commit(store, "7")
    objects = remote_of(store.root).objects
    send, lost = objects.send, []

    def lose(operation, name, request):
        result = send(operation, name, request)
        if operation == "put_if_match" and not lost:
            lost.append(name)
            raise answer
        return result

    objects.send = lose
    commit(store, "8")
    assert lost
    parts = [name for name in remote_of(store.root).mirror("stages/title_words").names("parts") if "empty" not in name]
    assert len([name for name in parts if name.endswith(".parquet")]) == 2
    assert words(worker("second")) == {"7": 1, "8": 1}


def test_bytes_are_those_of_a_store_on_a_disk(worker, tmp_path):
    remote, disk = worker("first"), Store(tmp_path / "disk")
    frame = pl.DataFrame({"item": [str(number) for number in range(1000)], "value": np.arange(1000) / 7})
    vectors = pa.schema([fixed("embedding", [2])])
    for store in (remote, disk):
        with store.artifact("model").new(inputs_hash="i", fingerprint="f") as folder:
            frame.write_parquet(folder / "frame.parquet")
        stage = store.stage("vectors", vectors)
        stage.commit([Row.ok("7", "h", {"embedding": np.array([1, 2])})], fingerprint="f")
        open_pack(store, stage)
    second = worker("second")
    with second.artifact("model").current().reading() as ours, disk.artifact("model").current().reading() as theirs:
        assert (ours / "frame.parquet").read_bytes() == (theirs / "frame.parquet").read_bytes()
    packs = [open_pack(store, store.stage("vectors", vectors)).version for store in (second, disk)]
    assert packs[0].files == packs[1].files
    assert packs[0].version == 1, "the second worker uses the pack that the first one made"


def test_a_derived_store_starts_with_everything_in_the_bucket(worker, tmp_path):
    commit(worker("first"), "7")
    derived = derive_store(worker("second"), tmp_path / "derived")
    assert words(derived) == {"7": 1}


def test_a_new_worker_sees_every_name(worker):
    first = worker("first")
    first.stage("title_words", pa.schema({"words": pa.int32()})).commit([], fingerprint="f")
    first.append("runs", pl.DataFrame({"run": [1]}))
    second = worker("second")
    assert list(second.stages()) == ["title_words"] and second.names("logs") == ["runs"]
