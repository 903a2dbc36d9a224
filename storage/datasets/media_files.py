"""A folder of media files named after their items."""

import os
import re
from pathlib import Path

from storage.datasets.dataset import Note
from storage.datasets.errors import Problems
from storage.datasets.ids import canonical_id

_UNFINISHED = {".part", ".crdownload", ".tmp", ".temp", ".download", ".partial", ".opdownload", ".aria2", ".ytdl"}
_NO_MEDIA = {
    *(".txt", ".md", ".rst", ".html", ".htm", ".pdf", ".log", ".nfo", ".description"),
    *(".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".toml", ".parquet", ".npy", ".pkl"),
    *(".md5", ".sha1", ".sha256", ".sha512", ".ini", ".db", ".lnk", ".url", ".torrent", ".py", ".sh"),
    *(".srt", ".vtt", ".ass", ".ssa", ".lrc", ".zip", ".gz", ".tar", ".7z", ".rar"),
}
# Downloaders save sound and pictures under such names until they are merged into one file.
_ONE_FORMAT = re.compile(r"\.f\d+(?:-\w+)?$")


def find_media(folder: Path, problems: Problems, notes: list[Note] | None = None) -> dict[str, str]:
    """Return item -> absolute path of each media file `folder/{item}.{any extension}`.

    Folders, files whose suffix is not that of media, unfinished downloads and hidden files are left out.

    Args:
        folder: The folder.
        problems: Problems are added here: two files of one item, a name that is not UTF-8.
        notes: A note about files that were left out, except hidden ones, is added here. By default there is no note.
    """
    found: dict[str, str] = {}
    left_out: list[str] = []
    with os.scandir(folder) as entries:  # distinguishes files from folders without a system call for each
        names = sorted((entry.name, entry.is_file()) for entry in entries if not entry.name.startswith("."))
    for name, is_file in names:
        path = folder.absolute() / name
        try:
            name.encode()
        except UnicodeEncodeError:
            problems.add(folder, f"the file name {os.fsencode(name)!r} is not UTF-8; rename the file")
            continue
        if not is_file or path.suffix.lower() in _UNFINISHED | _NO_MEDIA or _ONE_FORMAT.search(path.stem):
            left_out.append(name + "/" * (not is_file))
            continue
        item = canonical_id(path.stem)
        if item in found:
            problems.add(folder, f"two files for item {item}: {Path(found[item]).name} and {name}; one is allowed")
        else:
            found[item] = str(path)
    if left_out and notes is not None:
        shown = ", ".join(left_out[:3]) + (", ..." if len(left_out) > 3 else "")
        notes.append(Note("info", f"{folder.name}/: {len(left_out):,} files or folders are not media: {shown}"))
    return found
