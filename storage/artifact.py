"""A folder of files in the store (a fitted process, a model, a memory bank), versioned and switched in one step."""

import fcntl
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
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
LISTING = "versions.json"
LOCK = "making.lock"
SWITCHING = "switching.lock"


class Hold:
    """Keeps a version's files from being removed, until it is released or nobody refers to it any more.

    The lock is the system's and shared: it goes with the process, however that ends. Raises FileNotFoundError where the
    version was removed before.
    """

    def __init__(self, folder: Path):
        self._handle = os.open(folder, os.O_RDONLY)
        fcntl.flock(self._handle, fcntl.LOCK_SH)
        try:
            same = os.path.samestat(os.fstat(self._handle), folder.stat())
        except FileNotFoundError:
            same = False
        if not same:
            self.release()
            raise FileNotFoundError(f"{folder} was removed")

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None:
            self.release()


@dataclass(frozen=True)
class ArtifactVersion:
    """version: from 1; path: its folder; inputs_hash, fingerprint: what it was made from; metadata: the writer's."""

    version: int
    path: Path
    inputs_hash: str
    fingerprint: str
    metadata: dict[str, Any]
    created_at: datetime

    def hold(self) -> Hold:
        """Keeps its files while they are read."""
        return Hold(self.path)


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
        the block ends well and is removed otherwise. metadata may be filled until then; with activate=False, or while a
        version is pinned, the version in service stays. The object's `.version` is what came of it. Raises BusyError
        where another process is at it.
        """
        return Draft(self, inputs_hash, fingerprint, {} if metadata is None else metadata, activate)

    def _place(self, beside: Path) -> int:
        version = max((int(path.name) for path in self._folders()), default=0) + 1
        beside.rename(self.folder / f"{version:06d}")
        flush_folder(self.folder)
        return version

    def activate(self, version: int) -> None:
        """Switches to a version, in one step.

        Raises StoreError for one that is not there, and where another one is pinned.
        """
        self._check_kept(version)
        with self._switching():
            self._check_not_pinned(version)
            self._put_in_service(version, pinned=self.pinned())
        self.list_versions()

    def rollback(self) -> "ArtifactVersion":
        """Switches to the version that was in service before this one, in one step.

        Raises StoreError where there is none, and where this one is pinned.
        """
        with self._switching():
            kept = {version.version for version in self.versions()}
            past = [version for version in self._history()[:-1] if version in kept]
            if not past:
                raise StoreError(f"{self.name}: no version was in service before this one")
            self._check_not_pinned(past[-1])
            self._point(past)
        self.list_versions()
        return self.read(past[-1])

    def pin(self, version: int) -> None:
        """Switches to a version and keeps it in service, until `unpin`: later versions stay beside it."""
        self._check_kept(version)
        with self._switching():
            self._put_in_service(version, pinned=version)
        self.list_versions()

    def unpin(self) -> None:
        """Lets later versions come into service again; the one in service stays until one does."""
        with self._switching():
            if history := self._history():
                self._point(history)

    def pinned(self) -> int | None:
        """The version that is pinned; None where there is none."""
        return self._pointer().get("pinned")

    def annotate(self, version: int, notes: Mapping[str, Any]) -> "ArtifactVersion":
        """Adds to a version's metadata what became known after it was made (JSON-able); what it replaces is gone."""
        made = self.read(version)
        state = {
            "inputs_hash": made.inputs_hash,
            "fingerprint": made.fingerprint,
            "metadata": {**made.metadata, **notes},
            "created_at": made.created_at.isoformat(),
        }
        write_text(made.path / STATE_FILE, json.dumps(state, indent=1))
        self.list_versions()
        return self.read(version)

    def list_versions(self) -> None:
        """Brings `versions.json` up to date: what the catalog shows of every version, and which one is in service.

        One file, replaced in one step, because who lists folders and then reads in them meets those that go meanwhile.
        """
        with exclusive(self.folder / "listing.lock", doing="listing versions", wait=True):
            service = self._history()[-1:]
            listed = [
                {
                    "version": found.version,
                    "in_service": found.version in service,
                    "created_at": found.created_at.isoformat(),
                    "inputs_hash": found.inputs_hash,
                    "fingerprint": found.fingerprint,
                    "metadata": found.metadata,
                }
                for found in self.versions()
            ]
            text, file = json.dumps(listed), self.folder / LISTING
            if not file.exists() or file.read_text(encoding="utf-8") != text:
                write_text(file, text)

    def _switching(self) -> AbstractContextManager[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        return exclusive(self.folder / SWITCHING, doing="switching versions", wait=True)

    def _check_kept(self, version: int) -> None:
        kept = [one.version for one in self.versions()]
        if version not in kept:
            raise StoreError(
                f"{self.name}: there is no version {version}; kept are {', '.join(map(str, kept)) or 'none'}"
            )

    def _check_not_pinned(self, version: int) -> None:
        pinned = self.pinned()
        if pinned not in (None, version):
            raise StoreError(
                f"{self.name}: version {pinned} is pinned, so version {version} cannot come into service; unpin it first"
            )

    def _put_in_service(self, version: int, *, pinned: int | None) -> None:
        self._point([*(past for past in self._history() if past != version), version], pinned=pinned)

    def _point(self, history: list[int], *, pinned: int | None = None) -> None:
        state = {"version": history[-1], "history": history, "pinned": pinned}
        write_text(self.folder / POINTER, json.dumps(state))

    def _history(self) -> list[int]:
        return self._pointer().get("history", [])

    def _pointer(self) -> dict[str, Any]:
        try:
            return json.loads((self.folder / POINTER).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}

    def _folders(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("*") if path.name.isdigit() and path.is_dir())

    def read(self, version: int) -> ArtifactVersion:
        path = self.folder / f"{version:06d}"
        state = json.loads((path / STATE_FILE).read_text(encoding="utf-8"))
        state["created_at"] = datetime.fromisoformat(state["created_at"])
        return ArtifactVersion(version=version, path=path, **state)

    def find(self, version: int) -> ArtifactVersion:
        """A version that is kept. Raises StoreError, naming those that are, for another one."""
        self._check_kept(version)
        return self.read(version)

    def current(self) -> ArtifactVersion | None:
        """The version in service; None where there is none."""
        history = self._history()
        return self.read(history[-1]) if history else None

    def versions(self) -> list[ArtifactVersion]:
        """The versions kept, oldest first."""
        found = []
        for path in self._folders():
            with suppress(FileNotFoundError):  # removed since it was listed
                found.append(self.read(int(path.name)))
        return found

    def is_current(self, inputs_hash: str, fingerprint: str) -> bool:
        """Whether the version in service was made from these."""
        current = self.current()
        return current is not None and (current.inputs_hash, current.fingerprint) == (inputs_hash, fingerprint)

    def remove(self, version: int) -> None:
        """Removes a version. Raises StoreError for one that is not there, in service, pinned or being read."""
        self._check_kept(version)
        with self._switching():
            if version in (*self._history()[-1:], self.pinned()):
                raise StoreError(f"{self.name}: version {version} is in service; switch to another one first")
            if not self._removed(version):
                raise StoreError(f"{self.name}: version {version} is being read; end its readers first")
        self.list_versions()

    def prune(self, *, keep: int = 3) -> list[int]:
        """Removes versions, and returns which.

        Kept are the newest `keep`, the `keep` that were in service last (to roll back to, where newer ones never came
        into service), the one in service, the pinned one, and those that a reader holds.
        """
        with self._switching():
            history = self._history()
            newest = [int(folder.name) for folder in self._folders()]
            wanted = {*(newest[-keep:] if keep else []), *history[-max(keep, 1) :], self.pinned()}
            removed = [version for version in newest if version not in wanted and self._removed(version)]
        self.list_versions()
        return removed

    def _removed(self, version: int) -> bool:
        """Removes a version's files; False where a reader holds them."""
        folder = self.folder / f"{version:06d}"
        handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            remove_folder(folder)
            return True
        finally:
            os.close(handle)


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
        if self._activate and self._artifact.pinned() is None:
            self._artifact.activate(version)
        self._artifact.list_versions()
        self.version = self._artifact.read(version)
