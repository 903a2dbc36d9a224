import polars as pl
import pyarrow as pa
import pytest

from storage import catalog
from storage.arrays import fixed
from storage.durable import BusyError
from storage.rows import Row

PAYLOAD = pa.schema([pa.field("value", pa.int64())])


def nothing() -> None:
    """Stands for publishing the catalog, which these tests do without."""


def parts(stage) -> list:
    return [file for file in stage.folder.glob("parts/*/*/*.parquet") if "empty" not in file.name]


def fill(stage, commits: int) -> None:
    for number in range(commits):
        stage.commit([Row.ok(str(row), "h", {"value": number}) for row in range(number, number + 3)], fingerprint="f")
    stage.commit([Row.failed("bad", "h", ValueError("x")), Row.missing("none", "h", "no file")], fingerprint="f")
    stage.drop(["0"])


def test_many_parts_become_one_and_nothing_changes(store):
    stage = store.stage("s", PAYLOAD)
    fill(stage, 10)
    before, states = stage.read().to_pylist(), stage.states()
    assert stage.compact(publish=nothing, most_parts=4) == 12
    assert sorted(stage.read().to_pylist(), key=str) == sorted(before, key=str)
    assert stage.states().sort("item").equals(states.sort("item"))
    assert stage.compact(publish=nothing, most_parts=4) == 0


def test_few_parts_are_left_alone(store):
    stage = store.stage("s", PAYLOAD)
    fill(stage, 3)
    assert stage.compact(publish=nothing, most_parts=10) == 0
    assert len(parts(stage)) == 5


def test_old_files_stay_for_the_retention_time(store):
    stage = store.stage("s", PAYLOAD)
    fill(stage, 5)
    old = parts(stage)
    states = stage._parts.states()
    stage.compact(publish=nothing, retention=3600, most_parts=2)
    assert all(file.exists() for file in old)
    live = states.filter(states["status"] == "ok")
    assert len(stage._parts.read(live, ["value"])) == live.height
    stage.compact(publish=nothing, retention=0, most_parts=2)
    assert not any(file.exists() for file in old)
    assert len(stage.read()) == live.height


def test_a_commit_that_compaction_has_not_seen_is_kept(store, monkeypatch):
    """The writer chose its generation; before its rename, compaction opened the next one and listed the files."""
    stage = store.stage("s", PAYLOAD)
    fill(stage, 5)
    writer = store.stage("s", PAYLOAD)
    original = type(writer._parts).current_generation
    raced = []

    def current_generation(self):
        generation = original(self)
        if self is writer._parts and not raced:
            raced.append(stage.compact(publish=nothing, retention=0, most_parts=2))
        return generation

    monkeypatch.setattr(type(writer._parts), "current_generation", current_generation)
    writer.commit([Row.ok("late", "h", {"value": 77})], fingerprint="f")
    assert raced == [7]
    assert stage.read(["late"]).to_pylist() == [{"item": "late", "value": 77}]
    stage.compact(publish=nothing, retention=0, most_parts=0)
    assert stage.read(["late"]).to_pylist() == [{"item": "late", "value": 77}]


def test_one_compaction_at_a_time(store):
    stage, other = store.stage("s", PAYLOAD), store.stage("s", PAYLOAD)
    fill(stage, 5)
    refused = []

    def publish_while_another_tries():
        with pytest.raises(BusyError, match="compacting this stage"):
            other.compact(publish=nothing, most_parts=2)
        refused.append(True)

    assert stage.compact(publish=publish_while_another_tries, most_parts=2) == 7
    assert refused == [True, True]


def test_the_catalog_is_published_before_files_go(store):
    """A connection made at any moment of a compaction sees every row, and one made before goes on working."""
    stage = store.stage("s", PAYLOAD)
    fill(stage, 5)
    catalog.publish(store)
    expected = sorted(pl.from_arrow(stage.read()).iter_rows())
    with catalog.connect(store) as before:
        stage.compact(publish=lambda: catalog.publish(store), retention=3600, most_parts=2)
        assert sorted(before.sql("SELECT item, value FROM s").fetchall()) == expected
    fill(stage, 5)

    def publish():
        catalog.publish(store)
        with catalog.connect(store) as connection:
            assert sorted(connection.sql("SELECT item, value FROM s").fetchall()) == expected

    stage.compact(publish=publish, retention=0, most_parts=2)
    with catalog.connect(store) as connection:
        stage.commit([Row.ok("new", "h", {"value": 5})], fingerprint="f")
        assert connection.sql("SELECT value FROM s WHERE item = 'new'").fetchall() == [(5,)]


def test_rows_of_an_older_payload_schema_keep_their_state(store):
    fill(store.stage("s", PAYLOAD), 4)
    stage = store.stage("s", pa.schema([fixed("v", (2,))]))
    states = stage.states().sort("item")
    stage.compact(publish=nothing, retention=0, most_parts=1)
    assert stage.states().sort("item").equals(states)
    assert len(store.stage("s", PAYLOAD).read()) == 5
