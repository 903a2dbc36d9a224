"""The local folder of one stage, table, artifact or log whose truth is in a bucket.

`Mirror.pull` makes the folder what the manifest says. `Mirror.change` runs a function that changes the folder as if it were
an ordinary one, uploads the files that it wrote, and then replaces the manifest by one conditional put. Until that put nobody
else sees anything; after it, everybody sees all of it.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from storage.durable import written_beside
from storage.hashing import file_hash
from storage.remote.downloads import READS, download, pause, problem_of
from storage.remote.entries import entry_of, is_large
from storage.remote.folder_lock import FolderLock
from storage.remote.local_copy import LocalCopy, Mark, link, mark_of, marks_below, remove
from storage.remote.manifest import NAME, Entry, Manifest, ManifestDamaged
from storage.remote.objects import ObjectFolder, ObjectMissing, PutRefused, RemoteError

DOWNLOADS = 8  # at once
ATTEMPTS = 50  # conditional puts that lose to another writer before a commit gives up
Result = TypeVar("Result")
logger = logging.getLogger(__name__)
_no_pulling: ContextVar[bool] = ContextVar("no_pulling", default=False)


class Conflict(Exception):
    """Another worker changed the same files, so that the change must be made again."""


@contextmanager
def without_pulling() -> Iterator[None]:
    """Let `pull` do nothing in this block, which reads only what is here already."""
    token = _no_pulling.set(True)
    try:
        yield
    finally:
        _no_pulling.reset(token)


class Mirror:
    """The local folder of one stage, table, artifact or log of a remote store.

    Attributes:
        folder: The local folder.
        name: The folder's path within the store, such as `stages/frames`; empty for the store itself.
    """

    is_remote = True

    def __init__(
        self,
        folder: Path,
        name: str,
        objects: ObjectFolder,
        *,
        state: Path,
        register: Callable[[], object],
        files: Iterable[str] | None = None,
    ):
        """Refer to a folder; nothing is read yet.

        Args:
            folder: The local folder.
            name: Its path within the store.
            objects: The store's objects.
            state: File that records what the folder holds. The lock is beside it.
            register: Called before the first manifest of this folder is written.
            files: The only files that belong to the folder; None for all below it.
        """
        self.folder, self.name = folder, name
        self._objects, self._state, self._register = objects, state, register
        self._lock = FolderLock(state.with_suffix(".lock"))
        self._only = None if files is None else frozenset(files)
        self._thread = threading.RLock()
        self._changing = False
        self._copy: LocalCopy | None = None
        self._left: frozenset[str] = frozenset()  # files of removed versions that a reader holds
        self._whole = False  # whether the files were compared with the record in this process

    @property
    def manifest_name(self) -> str:
        """Name of the object that holds the manifest."""
        return self._key(NAME)

    def _key(self, name: str) -> str:
        return f"{self.name}/{name}" if self.name else name

    def pull(self) -> None:
        """Make the folder what the manifest says; large files come later, with `fetch`.

        One request if nothing has changed.

        Raises:
            RemoteError: Object storage does not answer.
        """
        if _no_pulling.get():
            return
        with self._thread:
            if not self._changing:
                self._refresh()

    def fetch(self, within: str = "") -> None:
        """Pull, and download the files that are not here yet.

        Args:
            within: Path of a folder in this one; by default all files.

        Raises:
            RemoteError: Object storage does not answer.
        """
        self.pull()
        with self._thread:
            if self._missing(within) and not _no_pulling.get():
                with self._lock.held():
                    self._download(self._missing(within))

    def mark(self) -> str:
        """Pull, and return a text that changes with every commit."""
        self.pull()
        manifest = self._held().manifest
        return manifest.commits[-1] if manifest.commits else "nothing"

    def names(self, within: str = "") -> list[str]:
        """Return the paths of the files in a folder of this one, also of those that are not here yet."""
        self.pull()
        prefix = f"{within}/" if within else ""
        return [path.removeprefix(prefix) for path in self._held().manifest.files if path.startswith(prefix)]

    def has(self, path: Path, size: int) -> bool:
        """Return whether the manifest has a file of this size that was not fetched yet."""
        entry = self._held().manifest.files.get(str(path.relative_to(self.folder)))
        return entry is not None and entry.size == size and str(path.relative_to(self.folder)) not in self._held().files

    def manifest(self) -> Manifest:
        """Pull, and return the manifest."""
        self.pull()
        return self._held().manifest

    def problem_of(self, path: str) -> str | None:
        """Download a file's object to a temporary file, and return what is wrong with it, or None."""
        self.pull()
        with TemporaryDirectory() as folder:
            entry = self._held().manifest.files[path]
            return problem_of(self._objects, self._key(entry.object), entry, Path(folder, "object"))

    def distrust(self) -> None:
        """Compare the folder with the manifest at the next pull, because a file of it was damaged."""
        self._whole = False

    def change(
        self,
        work: Callable[[], Result],
        *,
        undo: Callable[[], object] | None = None,
        depends_on: Callable[[str], bool] | None = None,
    ) -> Result:
        """Run a function that changes the folder, and commit its changes.

        If another worker commits meanwhile, its files are taken over. If it changed one of the same files, this folder goes
        back to what the manifest says and `work` runs again.

        Args:
            work: Changes files of the folder.
            undo: Called before `work` runs again, for what it did outside the folder.
            depends_on: Whether the changes are void if another worker changes this path too.

        Returns:
            The result of `work`.

        Raises:
            RemoteError: Object storage does not answer. Nothing is lost: the next pull shows what was committed.
        """
        with self._thread:
            if self._changing:
                return work()
            with self._lock.held():
                for attempt in range(ATTEMPTS):
                    self._reconcile(*self._read(unless=self._held().tag))
                    self._lock.begin()
                    self._changing = True
                    try:
                        result = work()
                    finally:
                        self._changing = False
                    try:
                        self._commit(self._edits(), depends_on or _nothing)
                    except Conflict:
                        if undo is not None:
                            undo()
                        pause(attempt)
                        continue
                    self._lock.finish()
                    return result
            raise RemoteError(
                f"{self._objects.url}/{self.manifest_name}: other workers changed the same files {ATTEMPTS} times in a row; "
                "nothing was committed, run again"
            )

    def record(self, edits: Mapping[str, Entry]) -> None:
        """Commit entries that no local file stands for."""
        with self._thread, self._lock.held():
            self._reconcile(*self._read(unless=self._held().tag))
            known = self._held().manifest.files
            self._commit({path: entry for path, entry in edits.items() if known.get(path) != entry}, _nothing)

    # what the bucket says

    def _read(self, unless: str | None = None) -> tuple[Manifest, str | None]:
        """Return the manifest and its tag; the one that is here if its tag is still `unless`."""
        for attempt in range(READS):
            try:
                found = self._objects.get(self.manifest_name, unless=unless)
            except ObjectMissing:
                return Manifest(), None
            if found is None:
                return self._held().manifest, unless
            try:
                return Manifest.from_bytes(found.content), found.tag
            except ManifestDamaged as error:
                problem = error
                pause(attempt)
        raise RemoteError(
            f"{self._objects.url}/{self.manifest_name} is damaged: {problem}. Restore an earlier version of this object if the "
            "bucket keeps versions. Otherwise remove it: what it listed is computed again"
        )

    def _refresh(self) -> None:
        known = self._held()
        _, tag = self._read(unless=known.tag)
        if tag == known.tag and self._whole and not self._lock.is_unfinished():
            return
        with self._lock.held():
            self._copy = LocalCopy.read(self._state)  # another process of this worker may have pulled meanwhile
            self._reconcile(*self._read(unless=self._copy.tag))
            self._lock.finish()

    # what is here

    def _held(self) -> LocalCopy:
        if self._copy is None:
            self._copy = LocalCopy.read(self._state)
        return self._copy

    def _keep(self, copy: LocalCopy) -> None:
        self._copy = copy
        copy.write(self._state)

    def _reconcile(self, manifest: Manifest, tag: str | None) -> None:
        """Make the folder what the manifest says, except for large files that are not here."""
        known, here = self._held(), marks_below(self.folder, self._only)
        unnamed = here.keys() - manifest.files.keys()
        self._left = frozenset(path for path in unnamed if not remove(self.folder, path))
        files: dict[str, tuple[Mark, str]] = {}
        wanted = []
        for path, entry in manifest.files.items():
            target = self.folder / path
            if path in here and self._is_copy(target, here[path], known.files.get(path), entry):
                files[path] = (here[path], entry.sha256)
            elif not self._is_file(path):
                target.mkdir(parents=True, exist_ok=True)
            elif entry.content is not None:
                with written_beside(target) as scratch:
                    scratch.write_bytes(entry.content)
                files[path] = (mark_of(target), entry.sha256)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                if path in here or not is_large(path):
                    wanted.append(path)
        copy = LocalCopy(manifest, tag, files)
        if copy != known:
            self._keep(copy)
        self._whole = True
        self._download(wanted)

    def _is_copy(self, target: Path, mark: Mark, known: tuple[Mark, str] | None, entry: Entry) -> bool:
        if known == (mark, entry.sha256):
            return True
        return mark[0] == entry.size and file_hash(target) == entry.sha256

    def _missing(self, within: str) -> list[str]:
        copy, prefix = self._held(), f"{within}/" if within else ""
        return [
            path
            for path in copy.manifest.files
            if path.startswith(prefix) and path not in copy.files and self._is_file(path)
        ]

    def _is_file(self, path: str) -> bool:
        return self._only is None or path in self._only

    def _download(self, paths: list[str]) -> None:
        """Download files, several at once. A file whose object is lost or damaged is taken out of the manifest."""
        if not paths:
            return
        copy = self._held()
        here = {sha: path for path, (_, sha) in copy.files.items()}
        linked = {path: here[entry.sha256] for path in paths if (entry := copy.manifest.files[path]).sha256 in here}
        with ThreadPoolExecutor(DOWNLOADS) as pool:
            wanted = {copy.manifest.files[path].sha256: path for path in paths if path not in linked}
            problems = dict(zip(wanted.values(), pool.map(self._download_one, wanted.values()), strict=True))
        lost = {path: problem for path, problem in problems.items() if problem is not None}
        for path in paths:
            first = linked.get(path) or wanted[copy.manifest.files[path].sha256]
            if first in lost:
                lost.setdefault(path, lost[first])
            elif first != path:
                link(self.folder / first, self.folder / path)
        files = {
            path: (mark_of(self.folder / path), copy.manifest.files[path].sha256) for path in paths if path not in lost
        }
        self._keep(copy._replace(files={**copy.files, **files}))
        if lost:
            self._commit(dict.fromkeys(lost), lambda path: path in lost)
            for path, problem in lost.items():
                logger.warning("%s/%s: %s; it was taken out of the store", self._objects.url, self._key(path), problem)

    def _download_one(self, path: str) -> str | None:
        entry = self._held().manifest.files[path]
        return download(self._objects, self._key(entry.object), entry, self.folder / path)

    # commits

    def _edits(self) -> dict[str, Entry | None]:
        """Return what changed in the folder since the last reconciliation: path -> new entry, None if removed."""
        copy, here = self._held(), marks_below(self.folder, self._only)
        edits: dict[str, Entry | None] = {}
        files = dict(copy.files)
        for path, mark in here.items():
            known = files.get(path)
            if path in self._left or (known is not None and known[0] == mark):
                continue
            entry = entry_of(self.folder, path, mark[0], [*edits.values(), *copy.manifest.files.values()])
            files[path] = (mark, entry.sha256)
            before = copy.manifest.files.get(path)
            if before is None or before.sha256 != entry.sha256:
                edits[path] = entry
        for path in copy.manifest.files.keys() - here.keys():
            if self._is_file(path) and (path in copy.files or not (self.folder / path).parent.is_dir()):
                files.pop(path, None)
                edits[path] = None
        self._copy = copy._replace(files=files)
        return edits

    def _commit(self, edits: Mapping[str, Entry | None], depends_on: Callable[[str], bool]) -> None:
        """Upload what the edits need, and replace the manifest.

        Raises:
            Conflict: Another worker changed the same files, or one that the edits depend on.
        """
        if not edits:
            self._keep(self._held())
            return
        base, tag = self._held().manifest, self._held().tag
        if tag is None:
            self._register()
        there = {entry.object for entry in base.files.values()}
        uploads = {e.object: path for path, e in edits.items() if e is not None and e.object and e.object not in there}
        with ThreadPoolExecutor(DOWNLOADS) as pool:
            list(pool.map(lambda item: self._objects.put(self._key(item[0]), self.folder / item[1]), uploads.items()))
        commit, current = uuid.uuid4().hex[:16], base
        failures = 0
        for attempt in range(ATTEMPTS):
            new = current.changed(edits, commit, now=time.time())
            try:
                new_tag = self._put(new.to_bytes(), tag)
            except PutRefused:
                pass
            except RemoteError:
                failures += 1
                if failures == READS:
                    raise
            else:
                self._settle(new, new_tag, base)
                return
            # Another writer was faster, or this put took effect and its answer was lost.
            pause(attempt)
            current, tag = self._read()
            if commit in current.commits:
                self._settle(current, tag, base)
                return
            paths = base.files.keys() | current.files.keys()
            changed = [path for path in paths if base.files.get(path) != current.files.get(path)]
            if any((path in edits and current.files.get(path) != edits[path]) or depends_on(path) for path in changed):
                raise Conflict
        raise Conflict

    def _put(self, content: bytes, tag: str | None) -> str:
        if tag is None:
            return self._objects.put_if_absent(self.manifest_name, content)
        return self._objects.put_if_match(self.manifest_name, content, tag)

    def _settle(self, manifest: Manifest, tag: str | None, base: Manifest) -> None:
        """Record the manifest after a commit; files that other workers committed meanwhile are taken over."""
        files = {path: facts for path, facts in self._held().files.items() if path in manifest.files}
        self._keep(LocalCopy(manifest, tag, files))
        if manifest.files.keys() - base.files.keys() - files.keys():
            self._reconcile(manifest, tag)


def _nothing(path: str) -> bool:
    return False
