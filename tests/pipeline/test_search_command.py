"""`reelcast search` in a shell: what it refuses before any work."""

import pytest

from pipeline.command_line import main


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("REELCAST_STORE__PATH", str(tmp_path / "store"))
    monkeypatch.setenv("REELCAST_STORE__RESULTS", str(tmp_path / "results"))


def test_an_unknown_predictor_is_refused_with_the_known_ones(capsys):
    assert main(["search", "--models", "boosting,m4tr"]) == 2
    assert "unknown predictor m4tr; allowed: m3tr, " in capsys.readouterr().err


@pytest.mark.parametrize("trials", ["0", "-3", "many"])
def test_a_number_of_trials_is_a_whole_number_above_zero(trials, capsys):
    assert main(["search", f"--trials={trials}"]) == 2
    assert "--trials" in capsys.readouterr().err


def test_a_store_without_features_is_told(capsys):
    assert main(["search", "--models", "boosting", "--trials", "1"]) == 2
    assert "reelcast: " in capsys.readouterr().err
