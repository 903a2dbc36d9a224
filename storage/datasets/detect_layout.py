"""The detection of a data set's layout, MicroLens, plain, Vine, SMPD or SMTPD, and the function that reads any of them."""

from collections.abc import Sequence
from pathlib import Path

from storage.datasets.dataset import Dataset
from storage.datasets.errors import SHOWN, DatasetError
from storage.datasets.lone_tables import lone_table, role_of
from storage.datasets.microlens import find_prefixes, read_microlens
from storage.datasets.plain import read_plain
from storage.datasets.smpd import is_smpd, read_smpd
from storage.datasets.smtpd import FILE as SMTPD_FILE
from storage.datasets.smtpd import is_smtpd, read_smtpd
from storage.datasets.table_files import find_table, tables_in
from storage.datasets.vine import VINE_FILES, is_vine, read_vine

SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")


def open_dataset(
    folder: str | Path, *, prefix: str | None = None, as_of: int | None = None, features: Sequence[str] = ()
) -> Dataset:
    r"""Read and validate a data set in any of the layouts that docs/datasets.md describes.

    20,000 items with a million events take a few seconds.

    Args:
        folder: The data set's folder.
        prefix: Prefix of the files in the MicroLens layout. By default it is taken from `*_pairs.csv`; without such a file,
            the plain layout is read.
        as_of: When the data were collected, unix ms. Later events are not used, and labels are complete up to this time.
            By default the time of the last event or count that is not isolated (see `clock.end_of_data`).
        features: Names of further columns of the table of videos, which `Dataset.features` then has. `name:category` makes
            a category of a column of numbers.

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
        raise DatasetError([f"{folder}: no such folder; name the one that holds the data set (data.folder)"])
    if not folder.is_dir():
        raise DatasetError([f"{folder}: not a folder; the folder that holds the data set's files is needed"])
    try:
        return _read(folder, prefix, as_of, features)
    except OSError as error:
        raise DatasetError([f"{error.filename or folder}: cannot be read ({error.strerror or error})"]) from error


def _read(folder: Path, prefix: str | None, as_of: int | None, features: Sequence[str]) -> Dataset:
    if prefix is not None:
        return read_microlens(folder, prefix, as_of=as_of, features=features)
    prefixes = find_prefixes(folder)
    plain = [path for name in ("videos", "events", "counters") for path in find_table(folder, name)]
    if prefixes and plain:
        both = f"{prefixes[0]}_pairs.csv and {plain[0].name}"
        raise DatasetError(
            [f"{folder}: {both} are both there; give a prefix if the first is meant, or move one of them elsewhere"]
        )
    if len(prefixes) > 1:
        raise DatasetError([f"{folder}: it holds several data sets; give one of the prefixes {', '.join(prefixes)}"])
    if prefixes:
        return read_microlens(folder, prefixes[0], as_of=as_of, features=features)
    if plain:
        return read_plain(folder, as_of=as_of, features=features)
    if is_vine(folder):
        return read_vine(folder, as_of=as_of, features=features)
    if is_smpd(folder):
        return read_smpd(folder, as_of=as_of, features=features)
    if is_smtpd(folder):
        return read_smtpd(folder, as_of=as_of, features=features)
    if lone := lone_table(folder):
        role, why = role_of(lone[0])
        return read_plain(folder, as_of=as_of, features=features, lone={role: lone}, why=why)
    raise DatasetError(
        [
            f"{folder}: no data set found; looked for *_pairs.csv (MicroLens layout), for videos.csv|parquet with "
            f"events.csv|parquet or counters.csv|parquet (plain layout), for {', '.join(VINE_FILES)} (Vine), for "
            f"train_label.txt with train_text.json (SMPD), and for {SMTPD_FILE} (SMTPD){_unread(folder)}. "
            "`reelcast init FOLDER` makes a data set of a folder of videos and the tables in it"
        ]
    )


def _unread(folder: Path) -> str:
    """Return what the folder holds beside a known layout, for the error."""
    told = ""
    if len(tables := [path.name for path in tables_in(folder)]) > 1:
        told += f"; of the tables {', '.join(tables[:SHOWN])}, name the one with a row per video videos, that with a row per "
        told += "event events, and that with counts counters"
    sheets = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in SPREADSHEETS)
    if sheets:
        told += f"; {', '.join(sheets[:SHOWN])} cannot be read: export each sheet as CSV"
    return told
