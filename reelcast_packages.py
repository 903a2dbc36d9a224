"""Detects a user's file or folder that hides one of reelcast's packages.

The packages have common names (`models`, `storage`), and Python searches the working folder before installed packages.
"""

from importlib.util import find_spec
from pathlib import Path

HOME = Path(__file__).resolve().parent


def refuse_hidden(*names: str) -> None:
    """Check that each package resolves to the folder of this module, without importing it.

    Args:
        names: Names of reelcast's other packages.

    Raises:
        ImportError: Another file or folder of that name comes first; the message names both.
    """
    for name in names:
        spec = find_spec(name)
        places = [] if spec is None else [*(spec.submodule_search_locations or []), spec.origin]
        found = {Path(place).resolve() for place in places if place}
        if HOME / name not in found:
            theirs = ", ".join(map(str, sorted(found))) or "nothing"
            raise ImportError(
                f"reelcast's package {name!r} ({HOME / name}) is hidden by {theirs}. Rename it, or start in another folder"
            )
