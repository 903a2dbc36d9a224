"""A versioned folder of files in the store (a fitted process, a model, a memory bank), switched atomically."""

import fcntl
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from storage.artifact_draft import Draft
from storage.artifact_pointer import LISTING, NOTHING, POINTER, listed_in_service, read_pointer, write_pointer
from storage.artifact_version import NEXT_RUN, ArtifactVersion, read_version, write_version
from storage.damage import DamageError, logger, set_aside
from storage.durable import (
    DAMAGED,
    StoreError,
    exclusive,
    explained,
    flush,
    make_folder,
    remove_folder,
    write_text,
)
from storage.remote.connection import mirror_of

SWITCHING = "switching.lock"
Result = TypeVar("Result")


class Artifact:
    """Versions of a folder of files, of which at most one is in service.

    Get an artifact from `Store.artifact`. Versions are the folders `000001`, `000002`, ...; `current.json` names the one
    in service. One process at a time makes a version: a second one gets a BusyError instead of waiting.

    Attributes:
        folder: The artifact's folder in the store.
        name: The folder's name.

    Example:
        >>> import tempfile
        >>> from storage.store import Store
        >>> folder = tempfile.TemporaryDirectory()
        >>> artifact = Store(folder.name).artifact("model")
        >>> with artifact.new(inputs_hash="inputs", fingerprint="settings") as files:
        ...     _ = (files / "weights.txt").write_text("0.5")
        >>> artifact.current().version
        1
        >>> artifact.is_current("inputs", "settings")
        True
        >>> folder.cleanup()
    """

    def __init__(self, folder: Path):
        """Refer to the artifact in `folder`; the folder need not exist yet."""
        self.folder = folder
        self.name = folder.name
        self._mirror = mirror_of(folder)

    def new(
        self, *, inputs_hash: str, fingerprint: str, metadata: dict[str, Any] | None = None, activate: bool = True
    ) -> "Draft":
        """Start a new version: `with artifact.new(...) as folder:` yields a folder to write files into.

        The folder becomes the next version when the block ends without an error, and is removed otherwise.

        Args:
            inputs_hash: Hash of what the version is made from.
            fingerprint: Hash of everything else that determines it.
            metadata: JSON-able facts to keep with the version. It may be filled until the block ends.
            activate: Whether to put the new version in service. While a version is pinned, that one stays in any case.

        Returns:
            A context manager, whose `version` is the new version after the block.

        Raises:
            BusyError: Another process is making a version. Raised when the block is entered.
        """
        return Draft(self, inputs_hash, fingerprint, {} if metadata is None else metadata, activate)

    def _place(self, beside: Path) -> int:
        # numbers of versions that were set aside are not used again: later results may refer to them
        used = [*self._folders(), *(path for path in self.folder.glob(f"{DAMAGED}/*") if path.name[:6].isdigit())]
        version = max((int(path.name[:6]) for path in used), default=0) + 1
        beside.rename(self.folder / f"{version:06d}")
        flush(self.folder)
        return version

    def activate(self, version: int) -> None:
        """Put a version in service, atomically.

        Raises:
            StoreError: There is no such version, or another one is pinned.
        """

        def put_in_service() -> None:
            self._check_kept(version)
            self._check_not_pinned(version)
            self._put_in_service(version, pinned=self.pinned())

        self._switch(put_in_service)

    def rollback(self) -> "ArtifactVersion":
        """Put the version in service that was in service before the current one, atomically.

        Returns:
            The version that is now in service.

        Raises:
            StoreError: No earlier version is kept, or the current one is pinned.
        """

        def point_back() -> int:
            kept = {version.version for version in self.versions()}
            past = [version for version in self._history()[:-1] if version in kept]
            if not past:
                raise StoreError(f"{self.name}: no version was in service before this one")
            self._check_not_pinned(past[-1])
            self._point(past)
            return past[-1]

        return self.read(self._switch(point_back))

    def pin(self, version: int) -> None:
        """Put a version in service and keep it there until `unpin`, also when newer versions are made.

        Raises:
            StoreError: There is no such version.
        """

        def pin() -> None:
            self._check_kept(version)
            self._put_in_service(version, pinned=version)

        self._switch(pin)

    def unpin(self) -> None:
        """Allow newer versions to come into service again. The current one stays in service until then."""

        def unpin() -> None:
            if history := self._history():
                self._point(history)

        self._switch(unpin)

    def pinned(self) -> int | None:
        """Return the number of the pinned version, or None."""
        return self._pointer()["pinned"]

    def annotate(self, version: int, notes: Mapping[str, Any]) -> "ArtifactVersion":
        """Add facts to a version's metadata after it was made; existing keys are overwritten.

        Args:
            version: The version's number.
            notes: JSON-able facts.

        Returns:
            The version with its new metadata.
        """
        self._mirror.change(lambda: self._annotate(version, notes))
        return self.read(version)

    def _annotate(self, version: int, notes: Mapping[str, Any]) -> None:
        before = self.read(version)
        state = {
            "inputs_hash": before.inputs_hash,
            "fingerprint": before.fingerprint,
            "metadata": {**before.metadata, **notes},
            "created_at": before.created_at.isoformat(),
            "files": before.files,
        }
        write_version(before.path, state)
        self.list_versions()

    def list_versions(self) -> None:
        """Update `versions.json`, from which the catalog shows all versions and which one is in service.

        The catalog reads this one file instead of the versions' folders, because a folder may be removed between listing
        and reading it.
        """
        file = self.folder / LISTING
        if not file.exists() or file.read_bytes() != self._listed().encode():
            self._mirror.change(self._list)

    def _list(self) -> None:
        with exclusive(self.folder / "listing.lock", doing="listing versions", wait=True):
            write_text(self.folder / LISTING, self._listed())

    def _listed(self) -> str:
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
        return json.dumps(listed)

    def _switch(self, change: Callable[[], Result]) -> Result:
        """Change which versions are kept or in service, and list them; one process at a time does so."""

        def switch() -> Result:
            with exclusive(self.folder / SWITCHING, doing="switching versions", wait=True):
                result = change()
            self.list_versions()
            return result

        make_folder(self.folder)
        return self._mirror.change(switch)

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
        write_pointer(self.folder, history, pinned=pinned)

    def _history(self) -> list[int]:
        return self._pointer()["history"]

    def _pointer(self) -> dict[str, Any]:
        """Return the content of `current.json`. If it is missing or damaged, it is restored from `versions.json`."""
        self._mirror.pull()
        try:
            return read_pointer(self.folder)
        except FileNotFoundError:
            problem = "is missing"
        except DamageError as error:
            problem = f"is damaged ({error.problem})"
        listed = listed_in_service(self.folder)
        if listed is None and problem == "is missing":
            return NOTHING  # no version was put in service yet
        found = {"version": listed, "history": [listed], "pinned": None} if listed else NOTHING
        self._mirror.change(lambda: self._point(found["history"]))
        logger.warning(
            "%s %s: %s; if a version was pinned, pin it again",
            *(self.folder / POINTER, problem),
            f"version {listed} is in service, as before" if listed else f"no version is in service, {NEXT_RUN}",
        )
        return found

    def _folders(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("*") if path.name.isdigit() and path.is_dir())

    def read(self, version: int) -> ArtifactVersion:
        """Return a version.

        Raises:
            DamageError: Its `version.json` is damaged.
            FileNotFoundError: There is no such version.
        """
        return read_version(self.folder / f"{version:06d}")

    def find(self, version: int) -> ArtifactVersion:
        """Return a version, as `read` does, but with an error for users.

        Raises:
            StoreError: There is no such version; the message lists those that are kept.
        """
        self._check_kept(version)
        return self.read(version)

    def current(self, *, verify: bool = False) -> ArtifactVersion | None:
        """Return the version in service, or None.

        A version that is damaged or missing is taken out of service, with a warning.

        Args:
            verify: Whether to compare the contents of its files too (about 1 GB/s, once per process). By default only
                their sizes are compared.
        """
        while history := self._history():
            try:
                version = self.read(history[-1])
                version.check(contents=verify)
                return version
            except DamageError as error:
                set_aside(self.folder / f"{history[-1]:06d}", self.folder, error.problem, NEXT_RUN)
            except FileNotFoundError:
                self._take_out_of_service(history)
        return None

    def _take_out_of_service(self, history: list[int]) -> None:
        """Clear the pointer to a missing version, unless another one was put in service in the meantime."""

        def clear() -> None:
            if self._history() == history and not (self.folder / f"{history[-1]:06d}").exists():
                logger.warning(
                    "%s: version %d was in service and is missing; no version is in service now, %s",
                    *(self.name, history[-1], NEXT_RUN),
                )
                self._point([])

        self._switch(clear)

    def versions(self) -> list[ArtifactVersion]:
        """Return all versions, oldest first. Versions with a damaged `version.json` are set aside, with a warning."""
        found = []
        self._mirror.pull()
        for path in self._folders():
            try:
                found.append(read_version(path))
            except DamageError as error:
                set_aside(path, self.folder, error.problem, "the other versions stay")
            except FileNotFoundError:  # removed since it was listed
                continue
        return found

    def is_current(self, inputs_hash: str, fingerprint: str) -> bool:
        """Return whether the version in service was made from these inputs and with this fingerprint."""
        current = self.current()
        return current is not None and (current.inputs_hash, current.fingerprint) == (inputs_hash, fingerprint)

    def remove(self, version: int) -> None:
        """Remove a version.

        Raises:
            StoreError: There is no such version, or it is in service, pinned or being read.
        """

        def remove() -> None:
            self._check_kept(version)
            if version in (*self._history()[-1:], self.pinned()):
                raise StoreError(f"{self.name}: version {version} is in service; switch to another one first")
            if not self._removed(version):
                raise StoreError(f"{self.name}: version {version} is being read; end its readers first")

        self._switch(remove)

    def prune(self, *, keep: int = 3) -> list[int]:
        """Remove old versions.

        These stay: the newest `keep`, the last `keep` that were in service (so that a rollback is possible even if newer
        versions never came into service), the one in service, the pinned one, and versions that a process holds.

        Args:
            keep: How many versions to keep.

        Returns:
            The numbers of the removed versions.
        """

        def prune() -> list[int]:
            history = self._history()
            newest = [int(folder.name) for folder in self._folders()]
            wanted = {*(newest[-keep:] if keep else []), *history[-max(keep, 1) :], self.pinned()}
            return [version for version in newest if version not in wanted and self._removed(version)]

        return self._switch(prune)

    def _removed(self, version: int) -> bool:
        """Remove a version's files; return False if a reader holds them."""
        folder = self.folder / f"{version:06d}"
        with explained(folder):
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
