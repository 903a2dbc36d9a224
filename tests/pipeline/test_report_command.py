"""`reelcast report` in a shell."""

import json

import polars as pl
import pytest

from pipeline.command_line import main
from storage.store import Store


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("REELCAST_DATA__FOLDER", str(tmp_path / "set"))
    monkeypatch.setenv("REELCAST_STORE__PATH", str(tmp_path / "store"))
    monkeypatch.setenv("REELCAST_STORE__RESULTS", str(tmp_path / "results"))
    return Store(tmp_path / "store")


def test_before_a_run_it_says_what_to_do(capsys):
    assert main(["report"]) == 1
    assert "nothing is computed" in capsys.readouterr().err


def test_it_writes_the_page_and_prints_its_path(store, tmp_path, capsys):
    store.table("popularity").write(pl.DataFrame({"item": ["1"]}), inputs_hash="a", fingerprint="b")
    assert main(["report"]) == 0
    path = tmp_path / "results" / "report.html"
    assert capsys.readouterr().out.split() == [str(path)]
    assert main(["report", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"file": str(path)}
    assert "<!doctype html>" in path.read_text(encoding="utf-8")
