"""A folder of videos, with whatever tables lie beside them, arranged as the plain layout reads it (docs/datasets.md)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from storage.datasets import Dataset, DatasetError, open_dataset
from storage.datasets.ids import canonical_id
from storage.datasets.lone_tables import role_of
from storage.datasets.plain import TABLES
from storage.datasets.table_files import find_table, tables_in
from storage.durable import write_text

VIDEOS = {".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".flv", ".wmv", ".mpg", ".mpeg", ".3gp", ".ts", ".gif"}
MEDIA = "files"
FEEDBACK_IS_MISSING = (
    "feedback is missing: add events.csv (item,time[,user,type], one row per comment or like) or counters.csv "
    "(item,time,views,likes, one row per reading), then run this command again"
)


@dataclass
class Arrangement:
    """What `arrange` did to a folder, and how it reads now.

    Attributes:
        added: Files and links that were added, with the reason.
        dataset: The data set; None if it cannot be read yet.
        problem: Why it cannot be read, and what to do; empty if it can.
    """

    added: list[str] = field(default_factory=list)
    dataset: Dataset | None = None
    problem: str = ""


def arrange(folder: Path) -> Arrangement:
    """Add what a folder lacks to be read as a data set. No file that is there is changed, moved or removed.

    A folder that can be read, with a file for some of its videos, is left alone. Otherwise tables get links under the names
    of the plain layout, videos get links in `files/`, and `videos.csv` lists them if no table does.

    Args:
        folder: The folder.

    Raises:
        DatasetError: It does not exist, it holds neither videos nor tables, or two tables are of the same kind.
    """
    folder = folder.expanduser().absolute()
    if not folder.is_dir():
        raise DatasetError([f"{folder}: no such folder; name the folder that holds the videos"])
    done = Arrangement()
    videos = list(_videos_in(folder))
    if _is_readable(folder, done) and (
        not videos or done.dataset.videos["path"].null_count() < len(done.dataset.videos)
    ):
        return done
    if not videos and not tables_in(folder):
        formats = ", ".join(sorted(VIDEOS))
        raise DatasetError([f"{folder}: no videos ({formats}) and no tables; name the folder that holds them"])
    if done.dataset is None:
        _name_tables(folder, done)
    if videos and not (folder / MEDIA).exists():
        _link_videos(folder, videos, done)
    if videos and not find_table(folder, "videos") and (done.dataset is None or not tables_in(folder)):
        _list_videos(folder, videos, done)
    _is_readable(folder, done)
    if done.problem and not _has_feedback(folder):
        done.problem = FEEDBACK_IS_MISSING
    return done


def _has_feedback(folder: Path) -> bool:
    """Whether a table has events or counts, even if something else about it is wrong."""
    if any(find_table(folder, name) for name in ("events", "counters")):
        return True
    try:
        return any(role_of(table) for table in find_table(folder, "videos"))
    except DatasetError:  # a table of videos without counts
        return False


def _is_readable(folder: Path, done: Arrangement) -> bool:
    try:
        done.dataset, done.problem = open_dataset(folder), ""
    except DatasetError as error:
        done.dataset, done.problem = None, str(error)
    return done.dataset is not None


def _videos_in(folder: Path) -> Iterator[Path]:
    """Yield the videos below a folder, in the order of their names; hidden files and folders are left out."""
    for path in sorted(folder.rglob("*"), key=lambda path: (path.name, path)):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in VIDEOS and path.is_file() and not hidden:
            yield path


def _name_tables(folder: Path, done: Arrangement) -> None:
    """Link each table of another name to the name of what it holds."""
    taken = {name: find_table(folder, name) for name in TABLES}
    unnamed = [path for path in tables_in(folder) if not any(path in files for files in taken.values())]
    roles: dict[str, Path] = {}
    for table in unnamed:
        role, _ = role_of(table)
        other = roles.get(role) or (taken[role][0] if taken[role] else None)
        if other is not None:
            raise DatasetError(
                [
                    f"{folder}: {other.name} and {table.name} both look like a table of {role}; keep one of them in the folder"
                ]
            )
        roles[role] = table
    for role, table in roles.items():
        link = folder / (role + table.name[table.name.index(".") :])
        link.symlink_to(table.name)
        done.added.append(f"{link.name} -> {table.name}, by its columns")


def _link_videos(folder: Path, videos: list[Path], done: Arrangement) -> None:
    names: dict[str, Path] = {}
    for path in videos:
        if (other := names.get(path.stem)) is not None:
            raise DatasetError([f"{path} and {other} have the same name, which names the video; rename one of the two"])
        names[path.stem] = path
    (folder / MEDIA).mkdir()
    for path in videos:
        (folder / MEDIA / path.name).symlink_to(Path("..") / path.relative_to(folder))
    done.added.append(f"{MEDIA}/: links to {len(videos):,} videos, whose names without suffix are their ids")


def _list_videos(folder: Path, videos: list[Path], done: Arrangement) -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["item", "title"])
    writer.writerows([canonical_id(path.stem), path.stem.replace("_", " ").strip()] for path in videos)
    write_text(folder / "videos.csv", text.getvalue())
    done.added.append(
        "videos.csv: each video with its file's name as title; add published_at, author, category if known"
    )
