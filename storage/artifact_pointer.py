"""Which version of an artifact is in service: `current.json`, and `versions.json`, from which it is restored if it is lost."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from storage.damage import DamageError, reading
from storage.durable import write_text

POINTER = "current.json"
LISTING = "versions.json"
NOTHING: dict[str, Any] = {"version": None, "history": [], "pinned": None}


def write_pointer(folder: Path, history: Sequence[int], *, pinned: int | None = None) -> None:
    """Put the last version of a history in service; none if it is empty.

    Args:
        folder: The artifact's folder.
        history: Versions that were in service, oldest first.
        pinned: The pinned version, if it is the last one.
    """
    state = {"version": history[-1], "history": list(history), "pinned": pinned} if history else NOTHING
    write_text(folder / POINTER, json.dumps(state))


def read_pointer(folder: Path) -> dict[str, Any]:
    """Read an artifact's `current.json`: the `version` in service, the `history` of versions in service, `pinned`.

    Raises:
        DamageError: The file is damaged.
        FileNotFoundError: The file does not exist.
    """
    file = folder / POINTER
    with reading(file):
        pointer = json.loads(file.read_text(encoding="utf-8"))
        if pointer.keys() == {"version", "history"}:  # as written before versions could be pinned
            pointer["pinned"] = None
        version, history, pinned = (pointer[name] for name in NOTHING)
        numbers = [number for number in (version, pinned, *history) if number is not None]
        # facts that are stored twice must agree; otherwise a flipped bit could switch to another version
        agree = history[-1:] == ([] if version is None else [version]) and pinned in (None, version)
        if pointer.keys() != NOTHING.keys() or not agree or not all(type(number) is int for number in numbers):
            raise DamageError(file, f"it says {pointer}")
        return pointer


def listed_in_service(folder: Path) -> int | None:
    """Return the version in service according to `versions.json`; None if there is none or the file is unreadable."""
    file = folder / LISTING
    try:
        with reading(file):
            listed = json.loads(file.read_text(encoding="utf-8"))
            service = [int(entry["version"]) for entry in listed if entry["in_service"]]
    except (FileNotFoundError, DamageError):
        return None
    return service[0] if service and (folder / f"{service[0]:06d}").is_dir() else None
