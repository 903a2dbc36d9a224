"""The files of a media folder: which of them are videos."""

import os

import pytest

from storage.datasets import DatasetError, open_dataset

FILES = {"videos.csv": "item\nabc\n", "events.csv": "item,time\nabc,1700000000000\n", "files/abc.mp4": b"x"}


@pytest.mark.parametrize(
    "name",
    [
        "README.txt", "Thumbs.db", ".DS_Store", "desktop.ini", "checksums.md5", "b.mp4.part", "b.mp4.crdownload",
        "b.tmp", "b.f137.mp4", "abc.info.json", "abc.en.vtt", "abc.description", "more/b.mp4",
    ],
)  # fmt: skip
def test_what_is_no_video_is_left_out_with_a_note(write, name):
    dataset = open_dataset(write(FILES | {f"files/{name}": b"x"}))
    assert dataset.videos["item"].to_list() == ["abc"]
    told = [note.text for note in dataset.notes if note.text.startswith("files/: 1 files or folders are not media")]
    assert bool(told) != name.startswith(".")


def test_a_file_without_a_suffix_is_a_video(write):
    assert "def" in open_dataset(write(FILES | {"files/def": b"x"})).videos["item"]


def test_a_name_that_is_not_utf8_is_refused(write):
    folder = write(FILES)
    (folder / "files" / os.fsdecode(b"caf\xe9.mp4")).write_bytes(b"x")
    with pytest.raises(DatasetError, match=r"files: the file name b'caf\\xe9\.mp4' is not UTF-8; rename the file"):
        open_dataset(folder)
