"""Refuses to start where a file or folder of the user's hides one of reelcast's packages.

Their names are common (`models`, `storage`), and Python looks into the working folder before it looks at what is installed.
"""

from importlib.util import find_spec
from pathlib import Path

HOME = Path(__file__).resolve().parent


def refuse_hidden(*names: str) -> None:
    """Check that each package comes from the folder that this module lies in; imports nothing.

    Args:
        names: of reelcast's packages, without the calling one.

    Raises:
        ImportError: another file or folder of that name comes first; the message names both.
    """
    for name in names:
        spec = find_spec(name)
        places = [] if spec is None else [*(spec.submodule_search_locations or []), spec.origin]
        found = {Path(place).resolve() for place in places if place}
        if HOME / name not in found:
            theirs = ", ".join(map(str, sorted(found))) or "nothing"
            raise ImportError(
                f"reelcast's package {name!r} ({HOME / name}) is hidden by {theirs}. Rename that, or start in another folder"
            )
