import os

import polars as pl
import pyarrow as pa

from storage import catalog
from storage.durable import exclusive
from storage.rows import Row
from storage.upkeep import upkeep

PAYLOAD = pa.schema([pa.field("value", pa.int64())])


def test_a_grown_store_becomes_small_and_says_the_same(store):
    stage = store.stage("numbers", PAYLOAD)
    for number in range(6):
        stage.commit([Row.ok("a", "h", {"value": number})], fingerprint="f")
        store.table("t").write(pl.DataFrame({"number": [number]}), inputs_hash=str(number), fingerprint="f")
        with store.artifact("model").new(inputs_hash=str(number), fingerprint="f"):
            pass
    leftover = stage.folder / ".writing-1-a"
    leftover.write_text("half")
    os.utime(leftover, (0, 0))
    done = upkeep(store, retention=0, most_parts=3, keep_versions=2)
    assert (done.merged, done.leftovers, done.busy) == ({"numbers": 6}, 1, [])
    assert len(store.table("t").versions()) == 2 and len(store.artifact("model").versions()) == 2
    with catalog.connect(store) as connection:
        assert connection.sql("SELECT value FROM numbers").fetchall() == [(5,)]
        assert connection.sql("SELECT number FROM t").fetchall() == [(5,)]
    assert upkeep(store, retention=0, most_parts=3).merged == {"numbers": 0}


def test_a_stage_that_another_process_compacts_is_passed_over(store):
    stage = store.stage("numbers", PAYLOAD)
    with exclusive(stage.folder / "compacting.lock", doing="compacting this stage"):
        assert upkeep(store).busy == ["numbers"]
