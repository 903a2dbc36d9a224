"""A derived store starts with what another store holds, and the two do not see each other's later work."""

import polars as pl
import pyarrow as pa

from storage.derived_store import derive_store
from storage.fingerprint import Fingerprint
from storage.rows import Row
from storage.store import Store

PAYLOAD = pa.schema({"words": pa.int32()})
SAME = Fingerprint(code=1)


def filled(folder) -> Store:
    store = Store(folder)
    store.stage("title_words", PAYLOAD).commit([Row.ok("7", "h7", {"words": 3})], fingerprint=SAME)
    store.table("splits").write(pl.DataFrame({"item": ["7"]}), inputs_hash="i", fingerprint="f")
    with store.artifact("model").new(inputs_hash="i", fingerprint="f") as files:
        (files / "weights.txt").write_text("0.5")
    return store


def test_rows_tables_and_artifacts_are_there_without_a_copy(tmp_path):
    own = filled(tmp_path / "own")
    derived = derive_store(own, tmp_path / "derived")
    assert derived.stage("title_words", PAYLOAD).plan({"7": "h7"}, SAME).todo == []
    assert derived.table("splits").read()["item"].to_list() == ["7"]
    version = derived.artifact("model").current(verify=True)
    assert (version.path / "weights.txt").samefile(own.artifact("model").current().path / "weights.txt")


def test_work_in_one_store_is_not_seen_in_the_other(tmp_path):
    own = filled(tmp_path / "own")
    derived = derive_store(own, tmp_path / "derived")
    derived.stage("title_words", PAYLOAD).commit([Row.ok("7", "other", {"words": 9})], fingerprint=SAME)
    derived.table("splits").write(pl.DataFrame({"item": ["8"]}), inputs_hash="j", fingerprint="f")
    with derived.artifact("model").new(inputs_hash="j", fingerprint="f") as files:
        (files / "weights.txt").write_text("0.7")
    assert own.stage("title_words", PAYLOAD).read().to_pylist() == [{"item": "7", "words": 3}]
    assert own.table("splits").read()["item"].to_list() == ["7"]
    assert own.artifact("model").is_current("i", "f")


def test_a_later_call_brings_new_rows_of_stages_and_leaves_tables_alone(tmp_path):
    own = filled(tmp_path / "own")
    derived = derive_store(own, tmp_path / "derived")
    derived.table("splits").write(pl.DataFrame({"item": ["8"]}), inputs_hash="j", fingerprint="f")
    own.stage("title_words", PAYLOAD).commit([Row.ok("9", "h9", {"words": 1})], fingerprint=SAME)
    own.table("splits").write(pl.DataFrame({"item": ["7", "9"]}), inputs_hash="k", fingerprint="f")
    derived = derive_store(own, tmp_path / "derived")
    assert derived.stage("title_words", PAYLOAD).plan({"7": "h7", "9": "h9"}, SAME).todo == []
    assert derived.table("splits").read()["item"].to_list() == ["8"]


def test_tables_that_would_pass_for_the_derived_store_s_own_are_left_out(tmp_path):
    own = filled(tmp_path / "own")
    own.table("evaluation").write(pl.DataFrame({"item": ["7"]}), inputs_hash="i", fingerprint="f")
    derived = derive_store(own, tmp_path / "derived", without=("evaluation",))
    assert derived.table("evaluation").state() is None
    assert derived.table("splits").read()["item"].to_list() == ["7"]
