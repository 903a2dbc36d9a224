"""A folder of files in the store (a fitted process, a model, a memory bank), versioned and switched in one step."""

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from storage.durable import (
    DISK_FULL,
    StoreError,
    exclusive,
    explain,
    flush_file,
    flush_folder,
    remove_folder,
    scratch_name,
    write_text,
)

STATE_FILE = "version.json"
POINTER = "current.json"
LOCK = "making.lock"


@dataclass(frozen=True)
class ArtifactVersion:
    """version: from 1; path: its folder; inputs_hash, fingerprint: what it was made from; metadata: the writer's."""

    version: int
    path: Path
    inputs_hash: str
    fingerprint: str
    metadata: dict[str, Any]
    created_at: datetime


class Artifact:
    """Get one from `Store.artifact`. Versions are folders `000001`, ...; `current.json` names the one in service.

    One process at a time makes a version: another one is refused with BusyError rather than kept waiting.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.name = folder.name

    def new(
        self, *, inputs_hash: str, fingerprint: str, metadata: dict[str, Any] | None = None, activate: bool = True
    ) -> "Draft":
        """`with artifact.new(...) as folder:` gives a folder to write files into, which becomes the next version when
        the block ends well and is removed otherwise. metadata may be filled until then; with activate=False the version
        in service stays. The object's `.version` is what came of it. Raises BusyError where another process is at it.
        """
        return Draft(self, inputs_hash, fingerprint, {} if metadata is None else metadata, activate)

    def _place(self, beside: Path) -> int:
        version = max((int(path.name) for path in self._folders()), default=0) + 1
        beside.rename(self.folder / f"{version:06d}")
        flush_folder(self.folder)
        return version

    def activate(self, version: int) -> None:
        """Switches to a version, in one step. Raises StoreError for one that is not there."""
        if version not in [kept.version for kept in self.versions()]:
            kept = ", ".join(str(kept.version) for kept in self.versions()) or "none"
            raise StoreError(f"{self.name}: there is no version {version}; kept are {kept}")
        history = [past for past in self._history() if past != version]
        write_text(self.folder / POINTER, json.dumps({"version": version, "history": [*history, version]}))

    def rollback(self) -> "ArtifactVersion":
        """Switches to the version that was in service before this one, in one step. Raises StoreError without one."""
        kept = {version.version for version in self.versions()}
        past = [version for version in self._history()[:-1] if version in kept]
        if not past:
            raise StoreError(f"{self.name}: no version was in service before this one")
        write_text(self.folder / POINTER, json.dumps({"version": past[-1], "history": past}))
        return self.read(past[-1])

    def _history(self) -> list[int]:
        try:
            return json.loads((self.folder / POINTER).read_text(encoding="utf-8"))["history"]
        except FileNotFoundError:
            return []

    def _folders(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("*") if path.name.isdigit() and path.is_dir())

    def read(self, version: int) -> ArtifactVersion:
        path = self.folder / f"{version:06d}"
        state = json.loads((path / STATE_FILE).read_text(encoding="utf-8"))
        state["created_at"] = datetime.fromisoformat(state["created_at"])
        return ArtifactVersion(version=version, path=path, **state)

    def current(self) -> ArtifactVersion | None:
        """The version in service; None where there is none."""
        history = self._history()
        return self.read(history[-1]) if history else None

    def versions(self) -> list[ArtifactVersion]:
        """The versions kept, oldest first."""
        return [self.read(int(path.name)) for path in self._folders()]

    def is_current(self, inputs_hash: str, fingerprint: str) -> bool:
        """Whether the version in service was made from these."""
        current = self.current()
        return current is not None and (current.inputs_hash, current.fingerprint) == (inputs_hash, fingerprint)

    def remove(self, version: int) -> None:
        """Removes a version that is not in service (StoreError for the one that is)."""
        current = self.current()
        if current is not None and current.version == version:
            raise StoreError(f"{self.name}: version {version} is in service; switch to another one first")
        shutil.rmtree(self.folder / f"{version:06d}")

    def prune(self, *, keep: int = 3) -> None:
        """Removes all but the newest `keep` versions and the one in service."""
        current = self.current()
        for version in self.versions()[: -keep or None]:
            if current is None or version.version != current.version:
                remove_folder(version.path)


class Draft:
    """A version being written, in a folder that nobody else looks at. See `Artifact.new`."""

    def __init__(
        self, artifact: Artifact, inputs_hash: str, fingerprint: str, metadata: dict[str, Any], activate: bool
    ):
        self.version: ArtifactVersion | None = None
        self._artifact = artifact
        self._state = {"inputs_hash": inputs_hash, "fingerprint": fingerprint, "metadata": metadata}
        self._activate = activate
        self._folder = scratch_name(artifact.folder)
        self._lock = exclusive(artifact.folder / LOCK, doing="making a version")

    def __enter__(self) -> Path:
        try:
            self._folder.mkdir(parents=True)
            self._lock.__enter__()
        except OSError as error:
            raise explain(error, self._artifact.folder) from error
        except StoreError:
            self._folder.rmdir()
            raise
        return self._folder

    def __exit__(self, kind, error, trace) -> None:
        try:
            if error is None:
                self._publish()
            elif isinstance(error, OSError) and error.errno in DISK_FULL:
                raise explain(error, self._artifact.folder) from error
        except OSError as failure:
            raise explain(failure, self._artifact.folder) from failure
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._lock.__exit__(None, None, None)

    def _publish(self) -> None:
        state = {**self._state, "created_at": datetime.now(UTC).isoformat()}
        (self._folder / STATE_FILE).write_text(json.dumps(state, indent=1), encoding="utf-8")
        for file in self._folder.rglob("*"):
            if file.is_file():
                flush_file(file)
        version = self._artifact._place(self._folder)
        if self._activate:
            self._artifact.activate(version)
        self.version = self._artifact.read(version)
