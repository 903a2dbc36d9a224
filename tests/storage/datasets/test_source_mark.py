from collections.abc import Callable
from pathlib import Path

import pytest

from storage.datasets.source_mark import source_mark


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "videos.csv").write_text("item,title\n1,a\n")
    (tmp_path / "events.csv").write_text("item,time\n1,1780000000000\n")
    (tmp_path / "files").mkdir()
    (tmp_path / "demo_videos").mkdir()
    (tmp_path / "files" / "1.mp4").write_text("film")
    return tmp_path


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "events.csv").write_text("item,time\n1,1780000000001\n"),
        lambda folder: (folder / "titles.csv").write_text("item,title\n"),
        lambda folder: (folder / "files" / "2.mp4").write_text("film"),
        lambda folder: (folder / "demo_videos" / "1.mp4").write_text("film"),
        lambda folder: (folder / "files" / "1.mp4").write_text("another film"),
        lambda folder: (folder / "files" / "1.mp4").unlink(),
    ],
)
def test_every_change_to_a_file_that_is_read_changes_the_mark(folder, change: Callable[[Path], object]):
    before = source_mark(folder)
    assert before is not None
    assert source_mark(folder) == before
    change(folder)
    assert source_mark(folder) != before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("videos.csv", "item, Path\n1,elsewhere.mp4\n"),
        ("videos.tsv", "item\tpath\n1\telsewhere.mp4\n"),
        ("videos.csv", '\ufeff"path";"item"\nelsewhere.mp4;1\n'),
        ("videos.parquet", "no parquet"),
        ("videos.csv", ""),
        ("videos.jsonl", '{"item": "1"}'),
    ],
)
def test_where_videos_name_their_files_or_cannot_be_read_nothing_can_be_told(folder, name, text):
    (folder / "videos.csv").unlink()
    (folder / name).write_text(text, encoding="utf-8")
    assert source_mark(folder) is None


def test_a_folder_that_is_a_link_is_looked_into(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (folder / "events").symlink_to(elsewhere)
    before = source_mark(folder)
    (elsewhere / "part-1.csv").write_text("item,time\n")
    assert source_mark(folder) != before


def test_tables_that_are_written_again_as_they_were_change_nothing(folder):
    before = source_mark(folder)
    for table in folder.glob("*.csv"):
        text = table.read_text()
        table.unlink()
        table.write_text(text)
    assert source_mark(folder) == before
