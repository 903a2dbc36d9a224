"""Stores that earlier versions wrote open, are verified, and runs continue with the rows that must be computed again."""

import tarfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from storage import catalog
from storage.arrays import to_numpy
from storage.bank.memory_bank import MemoryBank
from storage.check import check_store
from storage.fingerprint import Fingerprint
from storage.pack import open_pack
from storage.store import Store
from storage.upkeep import upkeep
from tests.storage.released.make_store import FINGERPRINT, PAYLOAD, TITLES, bank_members, row

FOLDER = Path(__file__).with_name("released")
INPUTS = {item: f"input {item}" for item in "abcde"}


def problems(root: Path) -> list[str]:
    return [f"{one.subject}: {one.problem}" for one in check_store(root, deep=True)]


@pytest.fixture(params=sorted(file.name.split(".")[0] for file in FOLDER.glob("*.tar.gz")))
def root(request, tmp_path: Path) -> Path:
    with tarfile.open(FOLDER / f"{request.param}.tar.gz") as archive:
        archive.extractall(tmp_path / "store", filter="data")
    return tmp_path / "store"


def test_what_it_holds_is_read_and_not_computed_again(root, caplog):
    store = Store(root)
    stage = store.stages()["captions"]
    assert stage.payload.equals(PAYLOAD, check_metadata=True)
    assert dict(zip("abc", stage.read()["title"].to_pylist(), strict=True)) == TITLES
    np.testing.assert_array_equal(to_numpy(stage.read(["c"]), "words")[0], np.arange(10).reshape(5, 2))
    assert dict(stage.states().select("item", "status").iter_rows()) == {
        **dict.fromkeys("abc", "ok"),
        "d": "failed",
        "e": "missing",
    }
    assert stage.plan(INPUTS, FINGERPRINT).todo == []
    table = store.table("splits")
    assert table.is_current("i2", "f", verify=True) and table.state().metadata == {"drawn": 2}
    assert table.read()["version"].to_list() == [2, 2, 2]
    model = store.artifact("model")
    assert model.is_current("i2", "f")
    with model.current(verify=True).reading() as folder:
        assert (folder / "weights").read_text() == "weights 2"
    bank = MemoryBank.open(store.artifact("memory_bank"), expect={"content": "one"})
    np.testing.assert_array_equal(bank.content, bank_members()["content"])
    assert store.log("runs").read()["computed"].to_list() == [1, 2]
    assert caplog.messages == []


def test_a_run_continues(root):
    store = Store(root)
    stage = store.stage("captions", PAYLOAD)
    plan = stage.plan({"b": "input b", "c": "another", "d": "input d", "f": "input f"}, FINGERPRINT, retry_failed=True)
    assert (plan.new, plan.stale, plan.retried, sorted(plan.orphaned)) == (["f"], ["c"], ["d"], ["a", "e"])
    again = stage.plan(INPUTS, Fingerprint(2, {"width": 3}, {"name": "plain"}))
    assert set(again.reasons.values()) == {"code version: 1 -> 2"} and len(again.todo) == 5
    stage.drop(plan.orphaned)
    stage.commit([row("c", "four", "another"), row("f", "five", "input f")], fingerprint=FINGERPRINT)
    assert len(open_pack(store, stage).find(["b", "c", "f"])[0]) == 3
    store.table("splits").write(pl.DataFrame({"item": ["b"]}), inputs_hash="i3", fingerprint="f")
    model = store.artifact("model")
    with model.new(inputs_hash="i3", fingerprint="f") as folder:
        (folder / "weights").write_text("weights 3")
    model.annotate(2, {"noted": True})
    assert model.rollback().version == 2 and model.current().metadata == {"loss": 0.5, "noted": True}
    store.append("runs", pl.DataFrame({"computed": [3]}))
    upkeep(store, retention=0, most_parts=1)
    with catalog.connect(store) as connection:
        assert connection.sql("SELECT item, title FROM captions ORDER BY item").fetchall() == [
            ("b", "two"),
            ("c", "four"),
            ("f", "five"),
        ]
        assert connection.sql(
            "SELECT version FROM artifact_versions WHERE artifact = 'model' AND in_service"
        ).fetchall() == [(2,)]
    assert problems(root) == []
    assert [stage.plan(INPUTS, FINGERPRINT).todo, store.log("runs").read().height] == [["a", "c", "e"], 3]
