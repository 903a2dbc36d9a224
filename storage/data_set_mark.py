"""Which data set a store belongs to, and the store that a data set gets where none is named."""

import hashlib
import json
import re
from pathlib import Path

from storage.damage import DamageError, reading
from storage.durable import write_text

MARK = "dataset.json"
# SQLite reads what follows a question mark as options
FORBIDDEN = re.compile(r"[?\x00-\x1f]")


def marked_folder(store: Path) -> Path | None:
    """Return the folder of the data set that the store `store` holds; None where no data set was noted yet.

    Raises:
        DamageError: the file that names it is not as it was written.
    """
    mark = store / MARK
    try:
        with reading(mark):
            return Path(json.loads(mark.read_text(encoding="utf-8"))["folder"])
    except FileNotFoundError:
        return None


def mark_store(store: Path, data: Path) -> None:
    """Note that `store` holds what is computed from the data set in the folder `data`."""
    write_text(store / MARK, json.dumps({"folder": str(data)}))


def default_store(data: Path, *, under: Path) -> Path:
    """Return the folder of the store that a data set gets by default: `under`, and the name of the data set's folder.

    Two data sets whose folders have the same name share nothing: the second one's store has eight digits of the hash of
    its path in its name. A store whose data set is gone counts as free, so that a data set may be moved with its store.

    Args:
        data: the data set's folder, absolute.
        under: the folder that holds the stores.
    """
    name = FORBIDDEN.sub("_", data.name) or "data"
    apart = under / f"{name}-{hashlib.sha256(str(data).encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"
    try:
        other = marked_folder(under / name)
    except DamageError:  # whoever reads the store is told
        other = None
    taken = other is not None and other != data and other.is_dir()
    return apart if apart.is_dir() or taken else under / name
