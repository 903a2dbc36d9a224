"""Tiny checkpoints: the papers' architectures with a few thousand random weights, built on this machine.

Tests load and run them with the same code as the real checkpoints, without a download.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from models.encoders.roles import Role

BUILD = 1  # raise it when `build` writes other files: each number has its own folder
_SEED = 0


def default_cache() -> Path:
    """Return `reelcast/tiny` in the user's cache folder (XDG_CACHE_HOME, or ~/.cache)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reelcast" / "tiny"


def checkpoint(role: Role, *, cache: str | Path | None = None) -> Path:
    """Return the folder of a role's tiny checkpoint; build the checkpoint first if it doesn't exist.

    The checkpoint is built in a temporary folder and then renamed. So an interrupted or concurrent build never leaves an
    incomplete checkpoint.

    Args:
        role: `visual`, `acoustic`, `text`, `captions` or `sounds`.
        cache: Folder of all tiny checkpoints; `default_cache()` if None.
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
        if not folder.is_dir():  # another process may have built the same files meanwhile
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder
