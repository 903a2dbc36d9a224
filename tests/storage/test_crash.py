"""kill -9 at any moment: what was finished is there, whole and once; what was not has left no trace."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from storage import catalog
from storage.arrays import to_numpy
from storage.rows import Row
from storage.store import Store
from tests.storage.endless_writer import ITEMS, PAYLOAD, vector

WRITER = "tests.storage.endless_writer"


def write_and_kill(root: Path, seed: int, seconds: float) -> list[dict]:
    """What the writer said it had finished before it was killed."""
    writer = subprocess.Popen([sys.executable, "-m", WRITER, str(root), str(seed)], stdout=subprocess.PIPE, text=True)
    assert json.loads(writer.stdout.readline()) == {"ready": True}
    time.sleep(seconds)
    writer.kill()
    said = writer.stdout.read().splitlines()
    writer.wait()
    done = []
    for line in said:
        try:
            done.append(json.loads(line))
        except json.JSONDecodeError:
            assert line == said[-1]
    return done


class Expected:
    """What must be in the store at least: the last number finished for each item, and so on."""

    def __init__(self):
        self.items: dict[str, int | None] = {}
        self.table = self.artifact = 0
        self.log: list[int] = []

    def follow(self, done: list[dict]) -> None:
        for step in done:
            if "committed" in step:
                self.items |= {str(item): step["committed"] for item in step["items"]}
            elif "dropped" in step:
                self.items |= {str(item): None for item in step["items"]}
            self.table = step.get("table", self.table)
            self.artifact = step.get("artifact", self.artifact)
            self.log += [step["log"]] if "log" in step else []

    def check(self, store: Store) -> None:
        stage = store.stage("numbers", PAYLOAD)
        table = stage.read()
        items, numbers = table["item"].to_pylist(), table["number"].to_pylist()
        assert len(set(items)) == len(items)
        for item, number, array in zip(items, numbers, to_numpy(table, "vector")):
            np.testing.assert_array_equal(array, vector(item, number).astype(np.float16))
        found = dict(zip(items, numbers))
        newest = max((number for number in self.items.values() if number), default=0)
        changed = {item for item in map(str, range(ITEMS)) if found.get(item) != self.items.get(item)}
        # Only the step in hand may have come through unsaid, and that whole: one number, later than all others.
        unsaid = {found[item] for item in changed if item in found}
        assert len(unsaid) <= 1 and all(number > newest for number in unsaid)
        assert len(changed) in (0, 3, 20) or not unsaid  # a drop may name items that were not there
        self.items |= {item: found.get(item) for item in changed}
        assert dict(stage.states().select("item", "input_hash").iter_rows()) == {k: str(v) for k, v in found.items()}

        state = store.table("numbers_table").state()
        if state:
            assert int(state.inputs_hash) >= self.table
            assert store.table("numbers_table").read()["number"].unique().to_list() == [int(state.inputs_hash)]
        version = store.artifact("model").current()
        assert (version is None and not self.artifact) or int(version.inputs_hash) >= self.artifact
        for version in store.artifact("model").versions():
            for name in "ab":
                assert (version.path / name).read_text() == version.inputs_hash * 1000
        logged = store.log("runs").read()
        logged = logged["number"].to_list() if logged.width else []
        assert set(self.log) <= set(logged) and len(logged) == len(set(logged))
        with catalog.connect(store) as connection:
            rows = connection.sql("SELECT item, number FROM numbers").fetchall()
        assert dict(rows) == found and len(rows) == len(found)


def drill(root: Path, kills: int, seed: int) -> None:
    moments = random.Random(seed)
    expected = Expected()
    for kill in range(1, kills + 1):
        expected.follow(write_and_kill(root, seed * 1000 + kill, moments.uniform(0, 0.4)))
        expected.check(Store(root))


def test_a_killed_writer(tmp_path):
    drill(tmp_path / "store", kills=2, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
def test_a_writer_killed_over_and_over(tmp_path, seed):
    drill(tmp_path / "store", kills=25, seed=seed)


def test_a_killed_writer_leaves_its_artifact_free(tmp_path):
    store = Store(tmp_path / "store")
    code = (
        "import sys, time; from storage.store import Store\n"
        f"with Store({str(store.root)!r}).artifact('model').new(inputs_hash='i', fingerprint='f') as folder:\n"
        "    (folder / 'half').write_text('x'); print('ready', flush=True); time.sleep(60)"
    )
    writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert writer.stdout.readline() == "ready\n"
    writer.kill()
    writer.wait()
    artifact = store.artifact("model")
    assert artifact.current() is None and artifact.versions() == []
    with artifact.new(inputs_hash="j", fingerprint="f"):
        pass
    assert artifact.current().version == 1


def _write(root: Path, worker: int) -> subprocess.Popen:
    code = (
        "import sys, pyarrow as pa; from storage.rows import Row; from storage.store import Store\n"
        f"stage = Store({str(root)!r}).stage('shared', pa.schema([pa.field('worker', pa.int64())]))\n"
        f"for shard in range(20):\n"
        f"    rows = [Row.ok(f'{worker}-{{shard}}-{{row}}', 'h', {{'worker': {worker}}}) for row in range(10)]\n"
        "    stage.commit(rows, fingerprint='f', shard=str(shard))\n"
    )
    return subprocess.Popen([sys.executable, "-c", code])


def test_writers_and_readers_do_not_wait_for_each_other(tmp_path):
    """Three processes write shards of one stage, while this one reads, compacts and queries the catalog."""
    store = Store(tmp_path / "store")
    stage = store.stage("shared", pa_schema())
    stage.commit([Row.ok("first", "h", {"worker": -1})], fingerprint="f")
    catalog.publish(store)
    writers = [_write(store.root, worker) for worker in range(3)]
    seen = 0
    while any(writer.poll() is None for writer in writers):
        count = len(stage.read())
        with catalog.connect(store) as connection:
            queried, distinct = connection.sql("SELECT count(*), count(DISTINCT item) FROM shared").fetchone()
        assert queried == distinct and seen <= count <= queried
        seen = queried
        stage.compact(publish=lambda: catalog.publish(store), retention=3600, most_parts=8)
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert len(stage.read()) == 3 * 20 * 10 + 1


def pa_schema():
    import pyarrow as pa

    return pa.schema([pa.field("worker", pa.int64())])
