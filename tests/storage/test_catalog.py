import contextlib
import multiprocessing
import shutil
import subprocess
import sys
import threading
import time

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from storage import catalog
from storage.arrays import fixed, ragged, to_column
from storage.artifact import Artifact
from storage.durable import StoreError
from storage.rows import Row
from storage.store import Store

PAYLOAD = pa.schema(
    [
        fixed("vector", (2, 2), "float16"),
        fixed("wide", (3,)),
        ragged("words", 2),
        pa.field("captions", pa.list_(pa.string())),
    ]
)


def ok(item: str, value: float) -> Row:
    vector = np.array([[value, 0], [0, 1]])
    payload = {"vector": vector, "wide": np.full(3, value), "words": np.ones((int(value), 2)), "captions": [item]}
    return Row.ok(item, "h", payload)


@pytest.fixture
def stage(store):
    return store.stage("embeddings", PAYLOAD)


def query(store, sql: str) -> list[tuple]:
    with catalog.connect(store) as connection:
        return connection.sql(sql).fetchall()


def test_arrays_come_as_float_n(store, stage):
    stage.commit([ok("a", 1), ok("b", 2)], fingerprint="f")
    types = dict(row[:2] for row in query(store, "DESCRIBE embeddings"))
    assert types == {
        "item": "VARCHAR", "vector": "FLOAT[4]", "wide": "FLOAT[3]", "words": "FLOAT[2][]", "captions": "VARCHAR[]",
    }  # fmt: skip
    similarity = query(store, "SELECT array_cosine_similarity(x.vector, y.vector) FROM embeddings x, embeddings y "
                              "WHERE x.item = 'a' AND y.item = 'b'")  # fmt: skip
    assert similarity[0][0] == pytest.approx(3 / np.sqrt(2 * 5))
    assert query(store, "SELECT wide, len(words) FROM embeddings WHERE item = 'b'") == [((2.0, 2.0, 2.0), 2)]


def test_a_stage_without_rows_has_its_view(store, stage):
    assert query(store, "SELECT * FROM embeddings") == []
    assert query(store, "SELECT * FROM embeddings_states") == []


def test_an_empty_store_has_a_catalog(store):
    assert query(store, "SELECT * FROM failures") == []
    assert query(store, "SELECT * FROM bank_versions") == []


def test_what_is_committed_after_publishing_is_seen(store, stage):
    with catalog.connect(store) as connection:
        stage.commit([ok("a", 1), ok("b", 1)], fingerprint="f")
        stage.commit([ok("a", 2)], fingerprint="f")
        stage.drop(["b"])
        assert connection.sql("SELECT item, wide[1] FROM embeddings").fetchall() == [("a", 2.0)]
        assert connection.sql("SELECT item, status FROM embeddings_states").fetchall() == [("a", "ok")]


def test_failures_of_all_stages(store, stage):
    other = store.stage("captions", pa.schema([pa.field("text", pa.string())]))
    stage.commit([Row.failed("a", "h", ValueError("broken")), ok("b", 1)], fingerprint="f", shard="3")
    other.commit([Row.failed("b", "h", KeyError("gone")), Row.missing("c", "h", "no sound")], fingerprint="f")
    rows = query(store, "SELECT stage, item, error_type, error_message, attempts, shard FROM failures ORDER BY stage")
    assert rows == [
        ("captions", "b", "KeyError", "'gone'", 1, None),
        ("embeddings", "a", "ValueError", "broken", 1, "3"),
    ]
    counts = query(store, "SELECT stage, status, count(*) FROM states GROUP BY ALL ORDER BY ALL")
    assert counts == [
        ("captions", "failed", 1), ("captions", "missing", 1), ("embeddings", "failed", 1), ("embeddings", "ok", 1),
    ]  # fmt: skip


def test_tables_follow_their_versions_within_one_connection(store):
    table = store.table("interactions")
    field = fixed("v", (2,))
    for value in (1, 2):
        column = to_column(field, np.full((3, 2), value))
        frame = pa.Table.from_arrays(
            [pa.array(["a", "b", "c"]), column], schema=pa.schema([pa.field("item", pa.string()), field])
        )
        table.write(frame, inputs_hash=str(value), fingerprint="f")
        if value == 1:
            connection = catalog.connect(store)
        assert connection.sql("SELECT DISTINCT v FROM interactions").fetchall() == [((float(value), float(value)),)]
    assert dict(row[:2] for row in connection.sql("DESCRIBE interactions").fetchall())["v"] == "FLOAT[2]"
    connection.close()


def test_logs_grow_and_may_get_columns(store):
    store.append("runs", pl.DataFrame({"run": ["a"]}))
    with catalog.connect(store) as connection:
        store.append("runs", pl.DataFrame({"run": ["b"], "seconds": [1.5]}))
        assert sorted(connection.sql("SELECT run FROM runs").fetchall()) == [("a",), ("b",)]
    catalog.publish(store)
    assert query(store, "SELECT run, seconds FROM runs ORDER BY run") == [("a", None), ("b", 1.5)]


def test_bank_versions(store):
    artifact = store.artifact("memory_bank")
    for members in (3, 5):
        metadata = {"members": members, "content_width": 8, "versions": {"text": {"revision": "a"}}}
        with artifact.new(inputs_hash="i", fingerprint="f", metadata=metadata):
            pass
    columns = "version, members, content_width, versions->'text'->>'revision', in_service"
    sql = f"SELECT {columns} FROM bank_versions ORDER BY version"
    with catalog.connect(store) as connection:
        assert connection.sql(sql).fetchall() == [(1, 3, 8, "a", False), (2, 5, 8, "a", True)]
        artifact.rollback()
        assert connection.sql(sql).fetchall() == [(1, 3, 8, "a", True), (2, 5, 8, "a", False)]


def test_versions_that_come_and_go_disturb_no_reader(store):
    artifact, stop, errors, in_service = store.artifact("pack_text"), threading.Event(), [], []

    def read() -> None:
        with catalog.connect(store) as connection:
            while not stop.is_set():
                try:
                    versions = connection.sql("SELECT in_service FROM artifact_versions").fetchall()
                    in_service.append(sum(one for (one,) in versions))
                except duckdb.Error as error:
                    errors.append(str(error))

    with artifact.new(inputs_hash="0", fingerprint="f"):
        pass
    catalog.publish(store)
    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 60):
        with artifact.new(inputs_hash=str(number), fingerprint="f"):
            pass
        artifact.prune(keep=1)
    stop.set()
    reader.join()
    assert errors == []
    assert set(in_service) == {1}


def test_the_listing_of_a_killed_writer_is_made_good_when_the_catalog_is_published(store, monkeypatch):
    def killed(artifact):
        raise SystemExit("killed")

    with monkeypatch.context() as patch, contextlib.suppress(SystemExit):
        patch.setattr(Artifact, "list_versions", killed)
        with store.artifact("memory_bank").new(inputs_hash="0", fingerprint="f"):
            pass
    assert query(store, "SELECT version, in_service FROM bank_versions") == [(1, True)]


def test_another_payload_schema_shows_the_new_columns(store, stage):
    stage.commit([ok("a", 1)], fingerprint="f")
    other = store.stage("embeddings", pa.schema([pa.field("wide", pa.string())]))
    other.commit([Row.ok("b", "h", {"wide": "text"})], fingerprint="g")
    assert query(store, "SELECT * FROM embeddings") == [("b", "text")]
    assert query(store, "SELECT item FROM embeddings_states ORDER BY item") == [("a",), ("b",)]


def test_two_of_one_name_are_refused(store, stage):
    store.table("embeddings").write(pl.DataFrame({"a": [1]}), inputs_hash="i", fingerprint="f")
    with pytest.raises(StoreError, match="has a view embeddings already; table embeddings must have another name"):
        catalog.publish(store)


def test_a_moved_store_is_published_again(store, stage, tmp_path):
    stage.commit([ok("a", 1)], fingerprint="f")
    catalog.publish(store)
    shutil.move(store.root, tmp_path / "it's [moved]*")
    moved = Store(tmp_path / "it's [moved]*")
    moved.table("t").write(pl.DataFrame({"a": [1]}), inputs_hash="i", fingerprint="f")
    moved.append("runs", pl.DataFrame({"run": ["a"]}))
    with moved.artifact("memory_bank").new(inputs_hash="i", fingerprint="f"):
        pass
    assert query(moved, "SELECT item FROM embeddings") == [("a",)]
    assert query(moved, "SELECT a, run FROM t, runs") == [(1, "a")]
    assert query(moved, "SELECT artifact, version, in_service FROM artifact_versions") == [("memory_bank", 1, True)]


def test_a_folder_that_looks_like_a_partition_is_none(tmp_path):
    store = Store(tmp_path / "seed=3" / "item=x" / "version=9" / "run=b" / "store")
    store.stage("embeddings", PAYLOAD).commit([ok("a", 1)], fingerprint="f")
    store.table("evaluation").write(pl.DataFrame({"seed": [0, 1]}), inputs_hash="i", fingerprint="f")
    store.append("runs", pl.DataFrame({"run": ["a"]}))
    with store.artifact("memory_bank").new(inputs_hash="i", fingerprint="f"):
        pass
    assert query(store, "SELECT item FROM embeddings") == query(store, "SELECT item FROM states") == [("a",)]
    assert query(store, "SELECT * FROM evaluation ORDER BY ALL") == [(0,), (1,)]
    assert query(store, "SELECT * FROM runs") == [("a",)]
    assert query(store, "SELECT version, in_service FROM bank_versions") == [(1, True)]
    assert len(query(store, "DESCRIBE artifact_versions")) == 7


def test_the_file_opens_read_only_without_this_package(store, stage):
    stage.commit([ok("a", 1)], fingerprint="f")
    with duckdb.connect(str(catalog.publish(store)), read_only=True) as connection:
        assert connection.sql("SELECT count(*) FROM embeddings").fetchone() == (1,)
        with pytest.raises(duckdb.InvalidInputException, match="read-only"):
            connection.execute("CREATE TABLE t AS SELECT 1")


def _query_in_a_loop(root, stop, rounds, answers) -> None:
    store, errors = Store(root), []
    while not stop.is_set():
        try:
            query(store, "SELECT count(*), sum(wide[1]) FROM embeddings")
        except duckdb.Error as error:
            errors.append(str(error))
        rounds.value += 1
    answers.put(errors)


def test_readers_never_fail_while_a_run_writes(store, stage):
    """Commits, tables, publishing and compaction in this process; another queries without a pause."""
    stage.commit([ok("0", 1)], fingerprint="f")
    catalog.publish(store)
    context = multiprocessing.get_context("spawn")
    stop, rounds, answers = context.Event(), context.Value("i", 0), context.Queue()
    reader = context.Process(target=_query_in_a_loop, args=(store.root, stop, rounds, answers))
    reader.start()
    end = time.monotonic() + 60  # for a machine that is busy; as a rule it takes two seconds
    number = 0
    while (number < 15 or rounds.value < 10) and time.monotonic() < end:
        number += 1
        stage.commit([ok(str(row), 1) for row in range(number % 7, 40)], fingerprint="f")
        catalog.publish(store)
        if number % 5 == 0:
            stage.compact(publish=lambda: catalog.publish(store), retention=3600, most_parts=3)
    stop.set()
    errors = answers.get(timeout=30)
    reader.join()
    assert errors == []
    assert rounds.value >= 10


def test_a_version_that_is_being_written_is_no_version(tmp_path):
    store = Store(tmp_path / "store")
    artifact = store.artifact("model")
    with artifact.new(inputs_hash="i", fingerprint="f"):
        pass
    catalog.publish(store)
    shutil.copytree(artifact.folder / "000001", artifact.folder / ".writing-1-beside")
    with catalog.connect(store) as connection:
        assert connection.sql("SELECT artifact, version FROM artifact_versions").fetchall() == [("model", 1)]


def test_a_full_disk_leaves_the_catalog_before(tmp_path):
    store = Store(tmp_path / "store")
    store.stage("first", pa.schema({"number": pa.int64()}))
    before = catalog.publish(store).read_bytes()
    code = (
        "import resource, signal, sys\n"
        "import pyarrow as pa\n"
        "from storage import catalog; from storage.store import Store\n"
        f"store = Store({str(store.root)!r}); store.stage('second', pa.schema({{'number': pa.int64()}}))\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)\n"
        "try: catalog.publish(store)\n"
        "except catalog.StoreError as error: print(error)\n"
    )
    for limit in (1_000, 20_000, 200_000):
        ran = subprocess.run([sys.executable, "-c", code, str(limit)], capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        assert "the old one stays" in ran.stdout
        assert (store.root / catalog.FILE).read_bytes() == before
    assert not list(store.root.glob(".writing*"))
    with catalog.connect(Store(store.root)) as connection:
        assert connection.sql("SELECT count(*) FROM first").fetchone() == (0,)


def test_a_catalog_is_written_again_only_where_it_lacks_something(tmp_path):
    store = Store(tmp_path / "store")
    store.stage("first", pa.schema({"number": pa.int64()}))
    path = catalog.publish(store)
    written = path.stat().st_mtime_ns
    assert catalog.publish(store).stat().st_mtime_ns == written
    store.stage("second", pa.schema({"number": pa.int64()}))
    with catalog.connect(Store(catalog.publish(store).parent)) as connection:
        assert connection.sql("SELECT count(*) FROM second").fetchone() == (0,)
    path.write_bytes(b"no database")
    catalog.publish(store)
    with catalog.connect(store) as connection:
        assert connection.sql("SELECT count(*) FROM second").fetchone() == (0,)
