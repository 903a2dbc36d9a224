"""The files of a table: one file, several parts, or a folder of parts."""

import re
from pathlib import Path

from storage.datasets.dataset import Note, natural_key
from storage.datasets.errors import DatasetError
from storage.datasets.file_bytes import COMPRESSED_SUFFIXES

FORMATS = ("csv", "tsv", "parquet", "jsonl", "ndjson", "json")
_COMPRESSED = "|".join(re.escape(suffix) for suffix in COMPRESSED_SUFFIXES)


def table_pattern(name: str, formats: tuple[str, ...] = FORMATS) -> re.Pattern[str]:
    """Return a pattern that matches the file names of a table. Its group `part` is empty for a file with the whole table.

    Args:
        name: Regular expression for the table's name.
        formats: Allowed suffixes, without the dot.
    """
    return re.compile(
        rf"(?P<name>{name})(?P<part>(?:[-_. ].+|\d+)?)\.(?:{'|'.join(formats)})(?:{_COMPRESSED})?", re.IGNORECASE
    )


def find_table(
    folder: Path, name: str, *, notes: list[Note] | None = None, formats: tuple[str, ...] = FORMATS
) -> list[Path]:
    """Return the files of a table: `name.csv`, or its parts `name-1.csv`, ..., or the files in the folder `name`.

    Args:
        folder: The data set's folder.
        name: The table's name.
        notes: If the whole table and parts of it exist, only the whole table is read, with a note added here.
        formats: Allowed suffixes, without the dot. Any file may be compressed.

    Returns:
        The files in natural order; none if the table does not exist.

    Raises:
        DatasetError: The table exists twice: in two formats, or as files and as a folder.
    """
    pattern = table_pattern(re.escape(name), formats)
    files = {path: found for path in _visible(folder) if path.is_file() and (found := pattern.fullmatch(path.name))}
    whole = [path for path, found in files.items() if not found["part"]]
    parts = [path for path, found in files.items() if found["part"]]
    inside = []
    if (folder / name).is_dir():
        within = table_pattern(".*?", formats)
        inside = [
            path
            for path in _visible(folder / name, deep=True)
            if path.is_file() and within.fullmatch(path.name) and not path.name.startswith("_")
        ]
    if len(whole) > 1 or (whole and inside):
        second = whole[1].name if len(whole) > 1 else f"{name}/"
        raise DatasetError([f"{folder}: {whole[0].name} and {second} are both there; one is allowed"])
    if parts and inside:
        raise DatasetError([f"{folder}: {parts[0].name} and {name}/ are both there; one is allowed"])
    if whole:
        if parts and notes is not None:
            notes.append(
                Note(
                    "warning",
                    f"{len(parts):,} files such as {parts[0].name} are not read, because {whole[0].name} exists",
                )
            )
        return whole
    stems: dict[str, Path] = {}
    for path in parts or inside:
        stem = re.sub(rf"\.(?:{'|'.join(formats)})(?:{_COMPRESSED})?$", "", str(path), flags=re.IGNORECASE)
        if stem in stems:
            raise DatasetError([f"{folder}: {stems[stem].name} and {path.name} are both there; one is allowed"])
        stems[stem] = path
    return list(stems.values())


def tables_in(folder: Path) -> list[Path]:
    """Return all tables in a folder, whatever their names, in natural order."""
    pattern = table_pattern(".+?", FORMATS)
    return [path for path in _visible(folder) if path.is_file() and pattern.fullmatch(path.name)]


def _visible(folder: Path, *, deep: bool = False) -> list[Path]:
    paths = folder.rglob("*") if deep else folder.iterdir()
    shown = [path for path in paths if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    return sorted(shown, key=lambda path: natural_key(str(path)))
