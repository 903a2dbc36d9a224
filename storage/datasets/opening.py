"""Finds out how a folder is laid out, and reads it."""

from pathlib import Path

from storage.datasets.dataset import Dataset
from storage.datasets.errors import DatasetError
from storage.datasets.microlens import find_prefixes, read_microlens
from storage.datasets.plain import find_plain, read_plain


def open_dataset(folder: str | Path, *, prefix: str | None = None) -> Dataset:
    """Reads and validates a data set in the MicroLens layout or in the plain form.

    With `prefix` the layout is MicroLens's; without, `*_pairs.csv` tells the prefix, and else the plain form is read.
    Reads 20,000 items with a million events in some seconds. Raises DatasetError, which names files and lines, for
    anything that would be guesswork.
    """
    folder = Path(folder).absolute()
    if not folder.exists():
        raise DatasetError([f"{folder}: no such folder"])
    if not folder.is_dir():
        raise DatasetError([f"{folder}: not a folder; the folder that holds the data set's files is needed"])
    try:
        return _read(folder, prefix)
    except OSError as error:
        raise DatasetError([f"{error.filename or folder}: cannot be read ({error.strerror or error})"]) from error


def _read(folder: Path, prefix: str | None) -> Dataset:
    if prefix is not None:
        return read_microlens(folder, prefix)
    prefixes = find_prefixes(folder)
    plain = find_plain(folder, "videos") + find_plain(folder, "events")
    if prefixes and plain:
        both = f"{prefixes[0]}_pairs.csv and {plain[0].name}"
        raise DatasetError([f"{folder}: {both} are both there; give a prefix if the first is meant, or move one away"])
    if len(prefixes) > 1:
        raise DatasetError([f"{folder}: several data sets are there; give one of the prefixes {', '.join(prefixes)}"])
    if prefixes:
        return read_microlens(folder, prefixes[0])
    if plain:
        return read_plain(folder)
    raise DatasetError(
        [
            f"{folder}: no data set found; looked for *_pairs.csv (the MicroLens layout) and for videos.csv|parquet "
            "with events.csv|parquet (the plain form)"
        ]
    )
