"""The commands of the tutorials run from top to bottom, on generated data and with quick settings."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pipeline.demonstration import make
from tests.assets.conftest import QUICK
from tests.benchmarks.microlens_size import write_set
from tests.docs.pages import ROOT, shell_of

TUTORIALS = ROOT / "docs" / "tutorials"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def run_tutorial(name: str, folder: Path) -> str:
    """Run a tutorial's commands in a folder, and return what they print."""
    program = folder / "bin" / "reelcast"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m pipeline.command_line "$@"\n')
    program.chmod(0o755)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("REELCAST_", "DAGSTER_"))}
    environment |= QUICK | {"REELCAST_MODEL__TRAIN": '["m3tr", "boosting"]', "PYTHONPATH": str(ROOT)}
    environment["PATH"] = f"{program.parent}:{environment['PATH']}"
    script = "set -euxo pipefail\n" + shell_of(TUTORIALS / f"{name}.md")
    done = subprocess.run(["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def test_your_own_videos(tmp_path):
    made = make(tmp_path / "made", videos=60, uploads=6, seed=5, workers=1)
    clips = tmp_path / "clips"
    clips.mkdir()
    for file in (made / "demo_videos").iterdir():
        file.rename(clips / file.name)
    pl.read_csv(made / "demo_counters.csv").rename({"view": "views"}).write_csv(clips / "counters.csv")
    published = pl.read_csv(made / "demo_published.csv").select("item", "published_at")
    titles = pl.read_csv(
        made / "demo_title_en.csv", has_header=False, new_columns=["item", "title"], truncate_ragged_lines=True
    )
    titles.join(published, on="item").write_csv(clips / "videos.csv")
    shown = run_tutorial("own_videos", tmp_path)
    assert "boosting" in shown and "view@7d" in shown
    forecasts = pl.read_csv(tmp_path / "forecasts.csv")
    assert len(forecasts) >= 1 and np.isfinite(forecasts["predicted_count"]).all()


def test_microlens(tmp_path):
    write_set(tmp_path / "MicroLens-100k", items=120, rows=1)
    shown = run_tutorial("microlens", tmp_path)
    assert "boosting" in shown and "training mean" in shown
