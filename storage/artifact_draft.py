"""A version of an artifact while it is written."""

from __future__ import annotations

import errno
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.artifact_version import ArtifactVersion, record_of, write_version
from storage.durable import DISK_FULL, StoreError, exclusive, explain, flush, make_folder, scratch_name

if TYPE_CHECKING:
    from storage.artifact import Artifact

LOCK = "making.lock"


class Draft:
    """A version that is being written, in a folder that readers ignore. See `Artifact.new`.

    Attributes:
        version: The finished version; None until the block has ended.
    """

    def __init__(
        self, artifact: Artifact, inputs_hash: str, fingerprint: str, metadata: dict[str, Any], activate: bool
    ):
        """Prepare a version; the arguments are those of `Artifact.new`."""
        self.version: ArtifactVersion | None = None
        self._artifact = artifact
        self._state = {"inputs_hash": inputs_hash, "fingerprint": fingerprint, "metadata": metadata}
        self._activate = activate
        self._folder = scratch_name(artifact.folder)
        self._lock = exclusive(artifact.folder / LOCK, doing="making a version")

    def __enter__(self) -> Path:
        """Create the folder to write into, and lock the artifact against other writers."""
        try:
            make_folder(self._artifact.folder)
            self._folder.mkdir()
            self._lock.__enter__()
        except OSError as error:
            raise explain(error, self._artifact.folder) from error
        except StoreError:
            self._folder.rmdir()
            raise
        return self._folder

    def __exit__(self, kind, error, trace) -> None:
        """Turn the folder into a version, or remove it if the block raised an error."""
        try:
            if error is None:
                self._publish()
            elif isinstance(error, OSError) and error.errno in (*DISK_FULL, errno.EIO):
                raise explain(error, self._artifact.folder) from error
        except OSError as failure:
            raise explain(failure, self._artifact.folder) from failure
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._lock.__exit__(None, None, None)

    def _publish(self) -> None:
        state = {**self._state, "created_at": datetime.now(UTC).isoformat(), "files": record_of(self._folder)}
        write_version(self._folder, state)
        for path in self._folder.rglob("*"):
            flush(path)
        version = self._artifact._mirror.change(self._place, undo=self._take_back)
        self.version = self._artifact.read(version)

    def _place(self) -> int:
        self._placed = self._artifact._place(self._folder)
        if self._activate and self._artifact.pinned() is None:
            self._artifact.activate(self._placed)
        self._artifact.list_versions()
        return self._placed

    def _take_back(self) -> None:
        (self._artifact.folder / f"{self._placed:06d}").rename(self._folder)
