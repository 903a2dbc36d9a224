import json
from pathlib import Path

import av
import polars as pl
import pytest

from pipeline.demonstration import dataset, make
from pipeline.demonstration.__main__ import main

SMALL = {"videos": 12, "uploads": 4, "seed": 3, "workers": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("sets") / "demonstration", **SMALL)


@pytest.fixture(scope="module")
def truth(folder: Path) -> pl.DataFrame:
    return pl.read_csv(folder / "truth" / "videos.csv")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


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


def test_counters_reach_the_views_of_the_simulation(folder: Path, truth: pl.DataFrame):
    """A reading on the first day is at most the day's true views, and a later one at least."""
    counters = pl.read_csv(folder / "demo_counters.csv").join(truth, on="item")
    age = (pl.col("time") - pl.col("published_at")) / 3_600_000
    early, late = counters.filter(age < 24), counters.filter((age > 24) & (age < 168))
    assert len(early) > 20 and (early["view"] <= early["views_24h"]).all()
    assert (late["view"] >= late["views_24h"]).all() and (late["view"] <= late["views_7d"]).all()


def test_the_truth_names_the_planted_inhibition(folder: Path):
    matrix = pl.read_csv(folder / "truth" / "branching.csv")
    prevented = matrix.filter(pl.col("branching") < 0)
    assert len(matrix) == 4 * 9 and len(prevented) == 4
    assert set(prevented["target"]) == {"like"} and set(prevented["source"]) == {"comment"}


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


def test_the_layout_is_that_of_microlens(folder: Path, truth: pl.DataFrame):
    """Headers where the real set has them, a BOM, first-comma titles, shuffled rows with exact duplicates."""
    raw = (folder / "demo_title_en.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    items = [int(line.partition(",")[0]) for line in raw.decode("utf-8-sig").splitlines()]
    assert items == truth["item"].to_list()
    tags = pl.read_csv(folder / "tags_to_summary.csv", has_header=False)
    assert tags["column_2"].to_list() == truth["category"].to_list()
    pairs = pl.read_csv(folder / "demo_pairs.csv")
    assert pairs.columns == ["user", "item", "timestamp", "event"]
    assert set(pairs["event"]) == {"like", "comment", "share"}
    assert 0 < len(pairs) - len(pairs.unique()) < 0.01 * len(pairs)
    assert not pairs["timestamp"].is_sorted()
    published = pl.read_csv(folder / "demo_published.csv")
    assert published.columns == ["item", "published_at", "author"]
    counters = pl.read_csv(folder / "demo_counters.csv")
    assert counters.columns == ["item", "time", "view"] and (counters["time"] <= pairs["timestamp"].max()).all()
    authors = pl.read_csv(folder / "demo_authors.csv")
    assert authors.columns == ["author", "time", "followers"] and set(published["author"]) <= set(authors["author"])
    split = pl.read_csv(folder / "split.csv")
    assert split["item"].to_list() == published["item"].to_list() and set(split["split"]) == {"train", "val", "test"}


def test_no_feedback_before_publication_and_no_publication_after_the_clock(folder: Path):
    pairs = pl.read_csv(folder / "demo_pairs.csv")
    published = pl.read_csv(folder / "demo_published.csv")
    assert (
        pairs.join(published, on="item").select(pl.col("timestamp") - pl.col("published_at")).to_series() >= 0
    ).all()
    assert published["published_at"].max() <= pairs["timestamp"].max()


def test_labelled_videos_have_their_week_and_uploads_have_not(truth: pl.DataFrame):
    assert truth.filter(~pl.col("upload"))["seven_days_over"].all()
    assert not truth.filter("upload")["seven_days_over"].any()
    assert truth["upload"].sum() == SMALL["uploads"]


def test_a_copy_has_the_bytes_of_its_original(folder: Path, truth: pl.DataFrame):
    for item, original in truth.filter(pl.col("file") == "copy").select("item", "original").iter_rows():
        first, again = ((folder / "demo_videos" / f"{i}.mp4").read_bytes() for i in (original, item))
        assert item != original and first == again


class Killed(Exception):
    pass


def test_an_interrupted_call_goes_on(folder: Path, tmp_path: Path):
    def kill(done: int, total: int) -> None:
        if done == 4:
            raise Killed

    target = tmp_path / "set"
    with pytest.raises(Killed):
        make(target, **SMALL, progress=kill)
    kept = {path: path.stat().st_mtime_ns for path in (target / "demo_videos").glob("*.mp4")}
    assert len(kept) == 4 and not (target / "demonstration.json").exists()
    make(target, **SMALL)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert contents(target) == contents(folder)


def test_processes_make_the_same_set(folder: Path, tmp_path: Path):
    seen = []
    make(tmp_path, **{**SMALL, "workers": 2}, progress=lambda done, total: seen.append((done, total)))
    assert contents(tmp_path) == contents(folder)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen) and seen[-1][0] == seen[-1][1]


def test_another_version_or_a_lost_file_makes_the_set_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make(tmp_path, **SMALL)
    clip = tmp_path / "demo_videos" / "5.mp4"
    stray = tmp_path / "demo_videos" / "999.mp4"
    clip.write_bytes(b"")
    stray.write_bytes(b"of another set")
    make(tmp_path, **SMALL)
    assert clip.stat().st_size > 1000 and not stray.exists()
    monkeypatch.setattr(dataset, "VERSION", dataset.VERSION + 1)
    before = clip.stat().st_mtime_ns
    make(tmp_path, **SMALL)
    assert clip.stat().st_mtime_ns > before
    assert json.loads((tmp_path / "demonstration.json").read_text())["version"] == dataset.VERSION


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path):
    (tmp_path / "demo_videos").mkdir()
    (tmp_path / "demo_videos" / "1.mp4").write_bytes(b"mine")
    with pytest.raises(FileExistsError, match=r"not empty and holds no demonstration\.json"):
        make(tmp_path, **SMALL)
    assert [path.name for path in tmp_path.rglob("*")] == ["demo_videos", "1.mp4"]


@pytest.mark.parametrize(
    ("argument", "value", "allowed"), [("videos", 9, 10), ("uploads", -1, 0), ("workers", 0, 1), ("seed", -1, 0)]
)
def test_arguments_out_of_range_are_refused(tmp_path: Path, argument: str, value: int, allowed: int):
    with pytest.raises(ValueError, match=rf"{argument} = {value}: allowed is {allowed} or more"):
        make(tmp_path / "set", **{**SMALL, argument: value})
    assert not (tmp_path / "set").exists()


def test_command_line(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    arguments = ["--videos", "12", "--uploads", "4", "--seed", "3", "--workers", "1"]
    assert main([str(tmp_path / "set"), *arguments]) == 0
    assert contents(tmp_path / "set") == contents(folder)
    assert main([str(tmp_path / "set"), "--videos", "3"]) == 1
    assert "videos = 3: allowed is 10 or more" in capsys.readouterr().err


def test_a_full_disk_leaves_a_folder_that_can_be_gone_on_with(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Wherever the disk is full (at the first manifest, at a clip, at the tables), the next call finishes the set."""
    write = Path.write_text
    for full in ("demonstration.unfinished.partial", "tags_to_summary.csv", "demonstration.partial"):

        def fail(self: Path, *arguments, full: str = full, **options) -> int:
            if self.name == full:
                self.touch()
                raise OSError(28, "No space left on device", str(self))
            return write(self, *arguments, **options)

        monkeypatch.setattr(Path, "write_text", fail)
        with pytest.raises(OSError, match="No space left"):
            make(tmp_path, **SMALL)
        monkeypatch.undo()
    make(tmp_path, **SMALL)
    assert contents(tmp_path) == contents(folder)
