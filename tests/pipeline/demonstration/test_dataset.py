import json
from pathlib import Path

import av
import polars as pl
import pytest

from pipeline.demonstration import make

SMALL = {"videos": 12, "uploads": 4, "seed": 3, "workers": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("sets") / "demonstration", **SMALL)


@pytest.fixture(scope="module")
def truth(folder: Path) -> pl.DataFrame:
    return pl.read_csv(folder / "truth" / "videos.csv")


def test_a_complete_set_is_left_alone(folder: Path):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    make(folder, **SMALL)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_labels_are_what_was_counted(folder: Path, truth: pl.DataFrame):
    """Counting the rows of the files again gives the truth table's counts."""
    pairs = pl.read_csv(folder / "demo_pairs.csv").unique()
    published = pl.read_csv(folder / "demo_published.csv")
    week = pairs.join(published, on="item").filter(
        (pl.col("event") == "comment") & (pl.col("timestamp") < pl.col("published_at") + 7 * 86_400_000)
    )
    counted = week.group_by("item").len("counted")
    both = truth.join(counted, on="item", how="left").with_columns(pl.col("counted").fill_null(0))
    assert both["counted"].to_list() == both["comments_7d"].to_list()
    assert both["counted"].sum() > 0


def test_every_file_is_what_the_truth_says(folder: Path, truth: pl.DataFrame):
    for item, file, sound in truth.select("item", "file", "sound").iter_rows():
        path = folder / "demo_videos" / f"{item}.mp4"
        if file == "missing":
            assert not path.exists()
        elif file == "damaged":
            with pytest.raises(av.FFmpegError), av.open(str(path)) as container:
                list(container.decode(video=0))
        else:
            with av.open(str(path)) as container:
                assert len(container.streams.audio) == int(sound)
                assert 24 <= sum(1 for _ in container.decode(video=0)) <= 48
    assert set(truth["file"]) == {"ok", "missing", "damaged", "copy", "reencoded"}


def test_manifest_names_every_file(folder: Path):
    listed = json.loads((folder / "demonstration.json").read_text())["files"]
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert set(listed) | {"demonstration.json"} == there
