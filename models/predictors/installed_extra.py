"""Libraries that only some predictors and the search for hyper-parameters need, imported when they are used."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

EXTRA = "reelcast[rows]"


def missing_library(*names: str) -> str | None:
    """Return which libraries are missing and how to install them, in words that follow "NAME: "; None if all are there.

    Args:
        names: Names of top-level packages.

    Example:
        >>> missing_library("numpy", "no_such_library")
        "needs no_such_library, which is not installed (pip install 'reelcast[rows]')"
    """
    missing = [name for name in names if find_spec(name) is None]
    return f"needs {', '.join(missing)}, which is not installed (pip install '{EXTRA}')" if missing else None


def import_library(module: str) -> ModuleType:
    """Return a module of a library that may be missing.

    Raises:
        ImportError: The library is not installed; the message says how to install it.
    """
    if told := missing_library(module.split(".")[0]):
        raise ImportError(told)
    return import_module(module)
