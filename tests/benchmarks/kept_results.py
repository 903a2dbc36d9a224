"""Results of finished fits in a folder, so that a benchmark that is called again goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from storage.hashing import content_hash


def kept(folder: Path | None, key: list[object], fit: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Return the result of a fit, from the folder if it holds one under this key."""
    if folder is None:
        return fit()
    file = folder / f"{content_hash(key)}.json"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        result = fit()
        file.write_text(json.dumps(result))
    return json.loads(file.read_text())
