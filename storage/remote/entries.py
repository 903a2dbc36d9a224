"""How the manifest records a file: in itself if it is small, else as an object of its own."""

from collections.abc import Iterable
from pathlib import Path

from storage.hashing import file_hash
from storage.remote.manifest import Entry

SMALL = 4096  # bytes up to which a file other than a table is kept in the manifest itself, so that it costs no request


def entry_of(folder: Path, path: str, size: int, others: Iterable[Entry | None]) -> Entry:
    """Return the entry of a new file. A table in service shares the object of its version.

    Args:
        folder: The local folder.
        path: Path of the file in it.
        size: Size of the file in bytes.
        others: Entries of the folder's other files; None for a file that is removed.
    """
    file = folder / path
    digest = file_hash(file)
    if size <= SMALL and not (file.suffix == ".parquet" and is_large(path)):
        return Entry(size, digest, content=file.read_bytes())
    same = (entry.object for entry in others if entry is not None and entry.sha256 == digest)
    return Entry(size, digest, next(same, None) or f"objects/{digest[:16]}/{path}")


def is_large(path: str) -> bool:
    """Return whether a file is downloaded only when it is read: rows, and the content of an artifact's versions."""
    version, _, name = path.partition("/")
    if path.endswith(".parquet"):
        return not path.endswith("-empty.parquet")
    return version.isdigit() and bool(name) and name != "version.json"
