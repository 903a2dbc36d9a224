"""The detection of a data set's layout, MicroLens or plain, and the function that reads either."""

from pathlib import Path

from storage.datasets.dataset import Dataset
from storage.datasets.errors import DatasetError
from storage.datasets.microlens import find_prefixes, read_microlens
from storage.datasets.plain import read_plain
from storage.datasets.table_files import find_table


def open_dataset(folder: str | Path, *, prefix: str | None = None, as_of: int | None = None) -> Dataset:
    r"""Read and validate a data set in the MicroLens or the plain layout (docs/datasets.md describes both).

    20,000 items with a million events take a few seconds.

    Args:
        folder: The data set's folder.
        prefix: Prefix of the files in the MicroLens layout. By default it is taken from `*_pairs.csv`; without such a file,
            the plain layout is read.
        as_of: When the data were collected, unix ms. Later events are not used, and labels are complete up to this time.
            By default the time of the last event that is not isolated (see `clock.end_of_data`).

    Raises:
        DatasetError: The data are ambiguous or wrong. The message names file and line.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> _ = Path(folder.name, "videos.csv").write_text("item,title\n7,A cat\n")
        >>> _ = Path(folder.name, "events.csv").write_text("item,user,time\n7,u,1700000000000\n")
        >>> dataset = open_dataset(folder.name)
        >>> dataset.layout, dataset.videos["title"].to_list(), dataset.events["time"].to_list()
        ('plain', ['A cat'], [1700000000000])
        >>> folder.cleanup()
    """
    folder = Path(folder).absolute()
    if not folder.exists():
        raise DatasetError([f"{folder}: no such folder"])
    if not folder.is_dir():
        raise DatasetError([f"{folder}: not a folder; the folder that holds the data set's files is needed"])
    try:
        return _read(folder, prefix, as_of)
    except OSError as error:
        raise DatasetError([f"{error.filename or folder}: cannot be read ({error.strerror or error})"]) from error


def _read(folder: Path, prefix: str | None, as_of: int | None) -> Dataset:
    if prefix is not None:
        return read_microlens(folder, prefix, as_of=as_of)
    prefixes = find_prefixes(folder)
    plain = find_table(folder, "videos") + find_table(folder, "events")
    if prefixes and plain:
        both = f"{prefixes[0]}_pairs.csv and {plain[0].name}"
        raise DatasetError(
            [f"{folder}: {both} are both there; give a prefix if the first is meant, or move one of them elsewhere"]
        )
    if len(prefixes) > 1:
        raise DatasetError([f"{folder}: it holds several data sets; give one of the prefixes {', '.join(prefixes)}"])
    if prefixes:
        return read_microlens(folder, prefixes[0], as_of=as_of)
    if plain:
        return read_plain(folder, as_of=as_of)
    named = sorted(path.name for path in folder.iterdir() if path.stem.lower() in ("videos", "events"))
    there = f"; {', '.join(named)} cannot be read" if named else ""
    raise DatasetError(
        [
            f"{folder}: no data set found; looked for *_pairs.csv (MicroLens layout) and for videos.csv|parquet with "
            f"events.csv|parquet (plain layout){there}"
        ]
    )
