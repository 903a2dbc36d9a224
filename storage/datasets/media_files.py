"""A folder of media files named after their items."""

import os
from pathlib import Path

from storage.datasets.errors import Problems


def find_media(folder: Path, problems: Problems) -> dict[str, str]:
    """item -> absolute path of `folder/{item}.{any extension}`; hidden files and folders are passed over.

    Two files for one item are a problem: which of them is meant cannot be known.
    """
    found: dict[str, str] = {}
    with os.scandir(folder) as entries:  # tells files from folders without asking the disk for each
        names = sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_file())
    for file in (folder.absolute() / name for name in names):
        if file.stem in found:
            problems.add(
                folder, f"two files for item {file.stem}: {Path(found[file.stem]).name} and {file.name}; one is allowed"
            )
        else:
            found[file.stem] = str(file)
    return found
