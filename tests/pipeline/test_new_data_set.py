"""`reelcast init`: a folder of videos becomes a data set, and nothing in it is changed."""

import json
from pathlib import Path

import pytest

from pipeline.command_line import main
from pipeline.settings import load
from storage.datasets import open_dataset


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    place = tmp_path / "mes vidéos"
    (place / "2024").mkdir(parents=True)
    for name in ("cat_1.mp4", "cat_2.MOV", "2024/cat_3.webm", "2024/notes.txt", ".cat_4.mp4"):
        (place / name).write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return place


READINGS = "".join(f"cat_{n},2024-01-0{day},{n * day}\n" for n in (1, 2, 3) for day in (1, 2))


def test_videos_alone_are_listed_and_the_missing_feedback_is_named(folder, capsys):
    assert main(["init", str(folder)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("added files/: links to 3 videos")
    assert lines[-1].startswith("feedback is missing: add events.csv (item,time")
    assert (folder / "videos.csv").read_text().splitlines() == [
        "item,title",
        "cat_1,cat 1",
        "cat_2,cat 2",
        "cat_3,cat 3",
    ]
    assert not Path("reelcast.toml").exists()
    (folder / "counters.csv").write_text("item,time,views\n" + READINGS)
    assert main(["init", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "3 videos, 3 with a file; 0 events, 6 counts" in shown and "next: reelcast check; reelcast run" in shown
    assert main(["init", str(folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {
        "folder": str(folder),
        "added": [],
        "videos": 3,
        "files": 3,
        "events": 0,
        "counts": 6,
        "problem": None,
    }
    assert main(["settings", "--changed"]) == 0
    changed = capsys.readouterr().out.replace("\n", "")
    assert f"folder = {str(folder)!r}" in changed and "targets = ['view@7d']" in changed


def test_a_table_of_another_name_is_used_as_it_is(folder, capsys):
    (folder / "scraped.csv").write_text("id,title,views,likes\n" + "".join(f"cat_{n},Cat,{n},1\n" for n in (1, 2, 3)))
    before = (folder / "scraped.csv").read_bytes()
    assert main(["init", str(folder)]) == 0
    assert (folder / "scraped.csv").read_bytes() == before
    videos = open_dataset(folder).videos
    assert videos["title"].to_list() == ["Cat"] * 3 and videos["path"].null_count() == 0
    protocol = load().protocol
    assert protocol.targets == ["view@end"] and protocol.hours == 0, "one count per video is all that can be forecast"
    capsys.readouterr()
    assert main(["init", str(folder)]) == 0, "a reelcast.toml that is there is kept"
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("next: ")]
    assert line.endswith("""'["view@end"]' REELCAST_PROTOCOL__HOURS=0; reelcast check; reelcast run""")


def test_a_table_with_counts_whose_videos_cannot_be_told_is_named_with_its_columns(folder, capsys):
    (folder / "views.csv").write_text("clip,title,views\ncat_1,one,5\n")
    assert main(["init", str(folder)]) == 1
    assert "videos.csv, line 1: no column item among clip, title, views" in capsys.readouterr().out.splitlines()[-1]


def test_two_tables_are_told_apart_by_their_columns(folder, capsys):
    (folder / "export A.csv").write_text("video_id,title,views\n" + "".join(f"cat_{n},Cat {n},5\n" for n in (1, 2, 3)))
    (folder / "export B.csv").write_text("video_id,time,user\n" + "".join(f"cat_{n},2024-01-01,u\n" for n in (1, 2, 3)))
    assert main(["init", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "added videos.csv -> export A.csv" in shown and "added events.csv -> export B.csv" in shown
    assert "3 videos, 3 with a file; 3 events, 3 counts" in shown
    assert main(["init", str(folder)]) == 0
    assert "added" not in capsys.readouterr().out, "a second call adds nothing"


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda folder: folder / "nothing", "no such folder"),
        (lambda folder: (folder / "empty").mkdir() or folder / "empty", "no videos (.3gp"),
        (lambda folder: ((folder / "cat_1.webm").write_bytes(b"") and folder) or folder, "have the same name"),
    ],
)
def test_a_folder_that_cannot_become_a_data_set(folder, capsys, make, told):
    assert main(["init", str(make(folder))]) == 2
    assert told in capsys.readouterr().err
