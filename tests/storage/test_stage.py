import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from storage.arrays import fixed, to_numpy
from storage.fingerprint import Fingerprint
from storage.rows import Row
from storage.store import Store

PAYLOAD = pa.schema([fixed("vector", (2,), "float16"), pa.field("caption", pa.string())])
FIRST = Fingerprint(1, {"frames": 10}, {"revision": "a"})


def ok(item: str, value: float, input_hash: str = "h") -> Row:
    return Row.ok(item, input_hash, {"vector": np.full(2, value), "caption": f"{item}={value}"})


@pytest.fixture
def stage(store):
    return store.stage("captions", PAYLOAD)


def captions(stage, items=None) -> dict[str, str]:
    table = stage.read(items, ["caption"])
    return dict(zip(table["item"].to_pylist(), table["caption"].to_pylist()))


def test_rows_come_back_in_the_order_asked_for(stage):
    stage.commit([ok("a", 1), ok("b", 2)], fingerprint=FIRST, shard="0")
    stage.commit([ok("c", 3)], fingerprint=FIRST, shard="1")
    table = stage.read(["c", "absent", "a", "b"])
    assert table["item"].to_pylist() == ["c", "a", "b"]
    np.testing.assert_array_equal(to_numpy(table, "vector"), [[3, 3], [1, 1], [2, 2]])
    assert stage.read(["b"], ["caption"]).schema.names == ["item", "caption"]
    assert stage.read()["item"].to_pylist() == ["a", "b", "c"]
    assert stage.read([]).schema == stage.read().schema


def test_the_newest_row_counts(stage):
    stage.commit([ok("a", 1), ok("b", 1)], fingerprint=FIRST)
    stage.commit([ok("a", 2)], fingerprint=FIRST)
    assert captions(stage) == {"a": "a=2", "b": "b=1"}
    stage.commit([Row.failed("b", "h", ValueError("broken"))], fingerprint=FIRST)
    assert captions(stage) == {"a": "a=2"}


def test_the_newest_row_counts_when_the_clock_is_set_back(stage, monkeypatch):
    stage.commit([ok("a", 1)], fingerprint=FIRST)
    monkeypatch.setattr("time.time_ns", lambda: 10**18)
    stage.commit([ok("a", 2)], fingerprint=FIRST)
    stage.commit([ok("a", 3)], fingerprint=FIRST)
    assert captions(stage) == {"a": "a=3"}


def test_states_keep_the_error_and_count_the_attempts(stage):
    for _ in range(3):
        stage.commit([Row.failed("a", "h", ValueError("broken file")), ok("b", 1)], fingerprint=FIRST, shard="s")
    stage.commit([Row.missing("c", "h", "no audio track")], fingerprint=FIRST)
    rows = {row["item"]: row for row in stage.states().iter_rows(named=True)}
    assert (rows["a"]["status"], rows["a"]["error_type"], rows["a"]["error_message"], rows["a"]["attempts"]) == (
        "failed",
        "ValueError",
        "broken file",
        3,
    )
    assert (rows["b"]["status"], rows["b"]["attempts"], rows["b"]["shard"]) == ("ok", 1, "s")
    assert (rows["c"]["status"], rows["c"]["error_message"]) == ("missing", "no audio track")
    stage.commit([Row.failed("a", "other input", ValueError("broken file"))], fingerprint=FIRST)
    assert stage.states().filter(item="a")["attempts"].item() == 1


def test_an_error_with_a_kind_keeps_it(stage):
    error = RuntimeError("cut off")
    error.kind = "truncated"
    stage.commit([Row.failed("a", "h", error)], fingerprint=FIRST)
    assert stage.states()["error_type"].item() == "RuntimeError.truncated"


def test_the_output_hash_follows_what_is_stored(stage):
    def output_hash(row):
        stage.commit([row], fingerprint=FIRST)
        return stage.states().filter(item=row.item)["output_hash"].item()

    one = output_hash(ok("a", 1.0))
    assert one == output_hash(Row.ok("a", "other", {"vector": np.full(2, 1.0 + 1e-6), "caption": "a=1.0"}))
    assert one != output_hash(ok("a", 1.5))
    assert output_hash(Row.failed("b", "h", ValueError())) is None
    assert output_hash(Row.missing("b", "h", "no file")) == output_hash(Row.missing("c", "h", "no sound"))


def test_what_is_planned(stage):
    inputs = {item: f"input of {item}" for item in "cabde"}
    assert stage.plan(inputs, FIRST).new == list("cabde")
    stage.commit([ok(item, 1, inputs[item]) for item in "ab"], fingerprint=FIRST)
    stage.commit(
        [Row.failed("d", inputs["d"], ValueError("x")), Row.missing("e", inputs["e"], "none")], fingerprint=FIRST
    )
    stage.commit([ok("gone", 1)], fingerprint=FIRST)
    inputs["a"] = "new title"
    plan = stage.plan(inputs, FIRST)
    assert (plan.new, plan.stale, plan.failed, plan.orphaned) == (["c"], ["a"], ["d"], ["gone"])
    assert (plan.retried, plan.unchanged) == ([], ["b", "e"])
    assert plan.todo == ["c", "a"]
    assert plan.reasons == {
        "c": "new item",
        "a": "input changed",
        "d": "failed before, not retried",
        "gone": "no input any more",
    }
    assert plan.summary()["stale"] == 1 and plan.summary()["reasons"]["new item"] == 1
    assert "2 to compute" in str(plan) and "1 x input changed" in str(plan)
    assert stage.plan(inputs, FIRST, retry_failed=True).todo == ["c", "a", "d"]
    stage.drop(plan.orphaned)
    assert stage.plan(inputs, FIRST).orphaned == []


def test_the_reason_names_the_part_that_changed(stage):
    stage.commit([ok("a", 1)], fingerprint=FIRST)
    plan = stage.plan({"a": "h"}, Fingerprint(2, {"frames": 12}, {"revision": "b"}))
    assert plan.reasons["a"] == "code version: 1 -> 2; parameter frames: 10 -> 12; model revision: a -> b"
    plan = stage.plan({"a": "other"}, Fingerprint(1, {"frames": 12}, {"revision": "a"}))
    assert plan.reasons["a"] == "input changed; parameter frames: 10 -> 12"
    assert stage.plan({"a": "h"}, "bare hash").reasons["a"] == f"fingerprint: {FIRST.hash} -> bare hash"


def test_a_failed_row_with_another_input_is_computed(stage):
    stage.commit([Row.failed("a", "h", ValueError("x"))], fingerprint=FIRST)
    assert stage.plan({"a": "mended"}, FIRST).todo == ["a"]


def test_a_dropped_item_can_come_back(stage):
    stage.commit([ok("a", 1)], fingerprint=FIRST)
    stage.drop(["a"])
    assert stage.states().height == 0 and captions(stage) == {}
    stage.commit([ok("a", 2)], fingerprint=FIRST)
    assert captions(stage) == {"a": "a=2"}


def test_another_payload_schema_hides_the_old_payload_and_keeps_the_states(store, stage):
    stage.commit([ok("a", 1)], fingerprint=FIRST)
    wider = store.stage("captions", pa.schema([fixed("vector", (3,), "float16")]))
    stage.commit([Row.failed("b", "h", ValueError("x"))], fingerprint=FIRST)
    plan = wider.plan({"a": "h", "b": "h"}, FIRST)
    assert plan.reasons == {"a": "payload columns changed", "b": "failed before, not retried"}
    assert plan.todo == ["a"] and len(wider.read()) == 0
    wider.commit([Row.ok("a", "h", {"vector": np.zeros(3)})], fingerprint=FIRST)
    assert to_numpy(wider.read(), "vector").shape == (1, 3)
    assert len(stage.read()) == 0


@pytest.mark.parametrize(
    "rows, words",
    [
        ([ok("a", 1), ok("a", 2)], "item a is given twice"),
        ([Row.ok("a", "h", {"caption": "x"})], "must have all of"),
        ([Row.ok("a", "h", {"vector": np.zeros(2), "caption": "x", "more": 1})], "and no others"),
        ([Row.ok("a", "h", {"vector": np.zeros(3), "caption": "x"})], "column vector.*must be"),
        ([Row.ok("a", "h", {"vector": np.zeros(2), "caption": 5})], "column caption"),
        ([Row("a", "h", "failed", payload={"caption": "x"})], "a failed row has no payload"),
    ],
)
def test_wrong_rows_are_refused_and_nothing_is_written(stage, rows, words):
    with pytest.raises(ValueError, match=words):
        stage.commit(rows, fingerprint=FIRST)
    assert stage.states().height == 0


def test_wrong_columns_are_refused(store, stage):
    with pytest.raises(ValueError, match="no column 'x', allowed are vector, caption"):
        stage.read(columns=["x"])
    with pytest.raises(ValueError, match=r"'item'.*are state columns"):
        store.stage("other", pa.schema([pa.field("item", pa.string())]))


def test_reading_the_state_reads_no_payload(stage, monkeypatch):
    stage.commit([ok("a", 1)], fingerprint=FIRST)
    read = set()
    original = pa.parquet.ParquetFile.read

    def spy(file, columns=None, **options):
        read.update(columns)
        return original(file, columns, **options)

    monkeypatch.setattr(pa.parquet.ParquetFile, "read", spy)
    stage.plan({"a": "h"}, FIRST)
    assert "item" in read and not read & set(PAYLOAD.names)


def test_leftovers_and_torn_parts_never_show(stage, caplog):
    stage.commit([ok("a", 1)], fingerprint=FIRST)
    stage.commit([ok("b", 1)], fingerprint=FIRST)
    part = next(file for file in stage.folder.glob("parts/*/*/*.parquet") if file.stat().st_size > 0)
    parts = sorted(file for file in stage.folder.glob("parts/*/*/*.parquet") if "empty" not in file.name)
    content = parts[1].read_bytes()
    (part.parent / ".writing-1-abc").write_bytes(content[:100])
    parts[1].write_bytes(content[: len(content) // 2])
    assert stage.states()["item"].to_list() == ["a"]
    assert "the next run computes the others again" in caplog.text
    caplog.clear()
    assert captions(stage) == {"a": "a=1"}
    assert not caplog.records
    assert stage.plan({"a": "h", "b": "h"}, FIRST).todo == ["b"]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_any_selection_of_rows_can_be_read(tmp_path_factory, sizes, random):
    """Rows of several parts and row groups, in any order."""
    stage = Store(tmp_path_factory.mktemp("store")).stage("frames", pa.schema([pa.field("jpeg", pa.binary())]))
    items = []
    for size in sizes:
        rows = [f"{len(items) + row}" for row in range(size)]
        stage.commit([Row.ok(item, "h", {"jpeg": item.encode() * 10}) for item in rows], fingerprint="f")
        items += rows
    wanted = random.sample(items, random.randint(0, len(items)))
    table = stage.read(wanted)
    assert table["item"].to_pylist() == wanted
    assert table["jpeg"].to_pylist() == [item.encode() * 10 for item in wanted]


def test_row_groups_are_small_where_rows_are_large(stage, store):
    frames = store.stage("frames", pa.schema([pa.field("jpeg", pa.binary())]))
    noise = np.random.default_rng(0).bytes(2**20)
    frames.commit([Row.ok(str(row), "h", {"jpeg": noise}) for row in range(40)], fingerprint="f")
    part = next(file for file in frames.folder.glob("parts/*/*/*.parquet") if "empty" not in file.name)
    assert pa.parquet.ParquetFile(part).num_row_groups >= 3
    assert frames.read(["39", "3"])["item"].to_pylist() == ["39", "3"]


class StageAgainstDictionary(RuleBasedStateMachine):
    """Any sequence of commits, drops and compactions leaves what a dictionary would hold."""

    folder = None

    def __init__(self):
        super().__init__()
        self.stage = Store(self.folder.mktemp("store")).stage("s", pa.schema([pa.field("value", pa.int64())]))
        self.expected: dict[str, tuple[str, int | None]] = {}
        self.counter = 0

    @rule(items=st.sets(st.sampled_from("abcdef"), min_size=1), failing=st.sets(st.sampled_from("abcdef")))
    def commit(self, items, failing):
        self.counter += 1
        rows = []
        for item in sorted(items):
            if item in failing:
                rows.append(Row.failed(item, "h", ValueError("x")))
                self.expected[item] = ("failed", None)
            else:
                rows.append(Row.ok(item, "h", {"value": self.counter}))
                self.expected[item] = ("ok", self.counter)
        self.stage.commit(rows, fingerprint="f")

    @rule(items=st.sets(st.sampled_from("abcdef")))
    def drop(self, items):
        self.stage.drop(sorted(items))
        for item in items:
            self.expected.pop(item, None)

    @rule(retention=st.sampled_from([0, 1000]))
    def compact(self, retention):
        self.stage.compact(publish=lambda: None, retention=retention, most_parts=1)

    @invariant()
    def same(self):
        states = self.stage.states()
        assert dict(states.select("item", "status").iter_rows()) == {k: v[0] for k, v in self.expected.items()}
        values = pl.from_arrow(self.stage.read())
        assert dict(values.iter_rows()) == {k: v[1] for k, v in self.expected.items() if v[0] == "ok"}


def test_any_history_against_a_dictionary(tmp_path_factory):
    StageAgainstDictionary.folder = tmp_path_factory
    run_state_machine_as_test(StageAgainstDictionary, settings=settings(max_examples=25, stateful_step_count=12))
