"""The committed snapshot of every stage's code, and what changed since."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from models.encoders.encoder_table import CLASSES
from models.predictor_table import CLASSES as PREDICTORS
from tests.stage_code.call_graph import Repository
from tests.stage_code.digests import PACKAGES, Code, encoders, predictors, stages

ROOT = Path(__file__).parents[2]
FILE = Path(__file__).with_name("snapshot.json")
COMMAND = "python -m tests.stage_code"


@dataclass(frozen=True)
class Snapshot:
    """Every stage's code as it was when the snapshot was written.

    Attributes:
        codes: Number and digest of each stage and encoder.
        functions: Digest of every definition that one of them uses, by its name.
    """

    codes: Mapping[str, Code]
    functions: Mapping[str, str]


@dataclass(frozen=True)
class Change:
    """A stage or an encoder whose code is not that of the snapshot.

    Attributes:
        name: The stage or encoder.
        settled: Whether nothing needs to be decided: its number was raised, or it is new or gone.
        functions: Definitions that it uses and that changed or are new.
    """

    name: str
    settled: bool
    functions: list[str]

    def __str__(self) -> str:
        named = ", ".join(self.functions[:6]) or "what it uses"
        more = len(self.functions) - 6
        return f"{self.name}: {named}{f' and {more} more' if more > 0 else ''}"


def current(root: Path = ROOT) -> dict[str, Code]:
    """Return the code of every stage and encoder as it is now."""
    repository = Repository(root, PACKAGES)
    return stages(repository) | encoders(repository, CLASSES) | predictors(repository, PREDICTORS)


def read(file: Path = FILE) -> Snapshot:
    """Read the snapshot; an empty one if there is none."""
    if not file.exists():
        return Snapshot({}, {})
    content = json.loads(file.read_text(encoding="utf-8"))
    codes = {name: Code(entry["code"], entry["digest"]) for name, entry in content["stages"].items()}
    return Snapshot(codes, content["functions"])


def write(snapshot: Snapshot, file: Path = FILE) -> None:
    """Write a snapshot."""
    entries = {name: {"code": code.number, "digest": code.digest} for name, code in sorted(snapshot.codes.items())}
    content = {"stages": entries, "functions": dict(sorted(snapshot.functions.items()))}
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def changes(before: Snapshot, after: Mapping[str, Code]) -> list[Change]:
    """Return every stage and encoder whose code or number is another one."""
    found = []
    for name in sorted(before.codes.keys() | after.keys()):
        old, new = before.codes.get(name), after.get(name)
        if old is None or new is None:
            found.append(Change(name, settled=True, functions=[]))
        elif (old.number, old.digest) != (new.number, new.digest):
            differ = [used for used, digest in new.functions.items() if before.functions.get(used) != digest]
            found.append(Change(name, settled=_raised(old.number, new.number), functions=differ))
    return found


def _raised(old: int | None, new: int | None) -> bool:
    return new is not None and (old is None or new > old)


def accepted(before: Snapshot, after: Mapping[str, Code], unchanged: Collection[str]) -> Snapshot:
    """Return the new snapshot; stages that still need a decision keep their old entry.

    Args:
        before: The snapshot.
        after: The code as it is now.
        unchanged: Stages whose results stay the same although their code changed.
    """
    kept = {change.name for change in changes(before, after) if not change.settled} - set(unchanged)
    codes = {name: before.codes[name] if name in kept else code for name, code in after.items()}
    functions = {used: digest for code in after.values() for used, digest in code.functions.items()}
    for used in {used for name in kept for used in after[name].functions}:  # so that a later call still names them
        functions.pop(used)
        if used in before.functions:
            functions[used] = before.functions[used]
    return Snapshot(codes, functions)
