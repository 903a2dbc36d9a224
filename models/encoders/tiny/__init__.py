"""Models of the real kinds with a few thousand random weights, made on this machine: every line that loads and runs a
real checkpoint runs on them, without a download."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from models.encoders.roles import Role

BUILD = 1  # to be raised when what is built changes: folders of another number are left alone
_SEED = 0


def default_cache() -> Path:
    """`reelcast/tiny` in the user's cache folder (XDG_CACHE_HOME, or ~/.cache)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reelcast" / "tiny"


def checkpoint(role: Role, *, cache: str | Path | None = None) -> Path:
    """The folder of a role's tiny checkpoint, which is built first where it isn't there yet.

    It is built beside and renamed into place, so that a killed or a concurrent build leaves no half of one.

    Args:
        cache: Folder of the checkpoints; `default_cache()` if None.
    """
    root = Path(cache) if cache is not None else default_cache()
    folder = root / f"build-{BUILD}" / f"tiny-{role}"
    if folder.is_dir():
        return folder
    from models.encoders.tiny.build import build

    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{role}-", dir=folder.parent))
    try:
        build(role, partial, seed=_SEED)
        partial.chmod(0o755)
        partial.rename(folder)
    except OSError:
        if not folder.is_dir():  # another process was first: its files are the same
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder
