"""A path to the Dagster instance that Dagster doesn't read as a pattern."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from storage.durable import explained
from storage.hashing import content_hash


def path_without_pattern(folder: Path) -> Path:
    """Return the folder's path, or that of a link to it if its path has one of the characters `[`, `*` and `?`.

    Dagster 1.13 looks for `dagster.yaml` with a pattern made of the whole path. It would not find the file in such a folder,
    and use its defaults without a word: telemetry on, and no limits of pools. The links are in the user's cache folder.

    Args:
        folder: The instance's folder.

    Raises:
        storage.durable.StoreError: The link cannot be made.
    """
    if glob.escape(str(folder)) == str(folder):
        return folder
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    link = cache / "reelcast" / "instances" / content_hash(str(folder))[:16]
    with explained(link):
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(folder)
    return link
