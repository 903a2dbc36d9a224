"""`reelcast figures` in a shell, before and without what it shows."""

import json

import pytest
from matplotlib.figure import Figure

from assets.curves import course_figure, intensity_figure
from assets.engine.nothing_to_show import NothingToShow
from assets.memory import retrieval_figure
from pipeline.command_line import main


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    monkeypatch.setenv("REELCAST_DATA__FOLDER", str(tmp_path))
    monkeypatch.setenv("REELCAST_STORE__PATH", str(tmp_path / "store"))
    monkeypatch.setenv("REELCAST_STORE__RESULTS", str(tmp_path / "results"))
    return tmp_path / "results"


def test_before_a_run_it_says_what_to_do(capsys):
    assert main(["figures"]) == 2
    assert "no memory bank is in service; build it" in capsys.readouterr().err


def test_a_figure_that_cannot_be_drawn_is_told_and_the_others_are_written(results, monkeypatch, capsys):
    def refuse(store, settings, *, item):
        raise NothingToShow(f"item {item!r} is no usable test item")

    monkeypatch.setattr(retrieval_figure, "retrieval_figure", refuse)
    monkeypatch.setattr(intensity_figure, "intensity_figure", lambda store, settings, *, item: Figure())
    monkeypatch.setattr(course_figure, "course_figure", lambda store, settings, archetypes: Figure())
    assert main(["figures", "--item", "nobody"]) == 1
    printed = capsys.readouterr()
    assert printed.err == "reelcast: no figure retrieval: item 'nobody' is no usable test item\n"
    written = [results / f"figure_{name}.png" for name in ("intensity", "courses")]
    assert printed.out.split() == [str(path) for path in written]
    assert sorted(results.iterdir()) == sorted(written)
    assert main(["figures", "--item", "nobody", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == dict(zip(("intensity", "courses"), map(str, written), strict=True))
