"""The data set that a store belongs to, and the default store of a data set."""

import hashlib
import json
import re
from pathlib import Path

from storage.damage import DamageError, reading
from storage.durable import write_text
from storage.remote.connection import own_mirror

MARK = "dataset.json"
# SQLite interprets the part of a path after a question mark as options
FORBIDDEN = re.compile(r"[?\x00-\x1f]")


def marked_folder(store: Path) -> Path | None:
    """Return the folder of the data set that a store belongs to; None if no data set was recorded yet.

    Raises:
        DamageError: The file that names the folder is damaged.
    """
    mark = store / MARK
    try:
        with reading(mark):
            return Path(json.loads(mark.read_text(encoding="utf-8"))["folder"])
    except FileNotFoundError:
        return None


def mark_store(store: Path, data: Path) -> None:
    """Record that `store` belongs to the data set in the folder `data`."""
    text = json.dumps({"folder": str(data)})
    own_mirror(store).change(lambda: write_text(store / MARK, text))


def default_store(data: Path, *, under: Path) -> Path:
    """Return the default store of a data set: `under/NAME`, where NAME is the name of the data set's folder.

    If a store of this name belongs to another data set, eight digits of the hash of the data set's path are added. A store
    whose data set no longer exists counts as free, so a data set can be moved without losing its store.

    Args:
        data: The data set's folder, absolute.
        under: The folder that holds the stores.
    """
    name = FORBIDDEN.sub("_", data.name) or "data"
    apart = under / f"{name}-{hashlib.sha256(str(data).encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"
    try:
        other = marked_folder(under / name)
    except DamageError:  # the user gets this error when the store is read
        other = None
    taken = other is not None and other != data and other.is_dir()
    return apart if apart.is_dir() or taken else under / name
