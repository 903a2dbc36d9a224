"""A folder as it may be on the disk after a power cut: only what was flushed is sure to be there.

The model is that of POSIX: a file's content is on the disk after `fsync` of the file, the names in a folder are there after
`fsync` of the folder. Of all other changes since then, any may be there and any may be missing. A rename within a folder
is one change: it is there or not.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.drill.file_operations import Operation


class _File:
    """A file's content: as programs see it, and as it is on the disk."""

    def __init__(self, content: bytes, *, flushed: bool):
        self.content = content
        self.flushed = content if flushed else b""

    def torn(self) -> bytes:
        """The content of which only the first half has reached the disk."""
        if self.content == self.flushed:
            return self.content
        middle = len(self.content) // 2
        return self.content[:middle] + self.flushed[middle : len(self.content)]


class _Folder:
    pass


_Names = dict[_Folder, dict[str, "_File | _Folder"]]


@dataclass(frozen=True)
class _Change:
    """Names that appear and disappear together."""

    removed: tuple[tuple[_Folder, str], ...]
    added: tuple[tuple[_Folder, str, _File | _Folder], ...]

    def applies_to(self, names: _Names) -> bool:
        return all(name in names.get(folder, {}) for folder, name in self.removed)

    def apply(self, names: _Names) -> None:
        for folder, name in self.removed:
            names.get(folder, {}).pop(name, None)
        for folder, name, node in self.added:
            names.setdefault(folder, {})[name] = node

    def touches(self, folder: _Folder) -> bool:
        return folder in {place[0] for place in (*self.removed, *self.added)}


@dataclass(frozen=True)
class State:
    """A folder's content after a power cut.

    Attributes:
        number: How many operations had been done.
        how: What survived.
        files: Path -> content; None for a folder. Names of one file have the same object.
    """

    number: int
    how: str
    files: dict[str, bytes | None]

    @property
    def digest(self) -> bytes:
        """Hash of the names and contents."""
        digest = hashlib.sha256()
        for path, content in sorted(self.files.items()):
            digest.update(path.encode() + (b"/" if content is None else hashlib.sha256(content).digest()))
        return digest.digest()

    def write(self, root: Path) -> None:
        """Make the folder. Names of one file are hard links, as they were."""
        root.mkdir(parents=True)
        first: dict[int, Path] = {}
        for path, content in sorted(self.files.items()):
            place = root / path
            if content is None:
                place.mkdir(parents=True, exist_ok=True)
            elif content and id(content) in first:
                os.link(first[id(content)], place)
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
                first[id(content)] = place


class Disk:
    """A folder and what of it is on the disk, while operations are done to it."""

    def __init__(self, start: Path | None = None):
        """Begin with the files of a folder, all on the disk; by default with an empty folder."""
        self._root = _Folder()
        self._names: _Names = {self._root: {}}
        self._pending: list[_Change] = []
        if start is not None:
            self._load(start, self._root, {})
        self._flushed: _Names = {folder: dict(names) for folder, names in self._names.items()}

    def _load(self, folder: Path, node: _Folder, known: dict[int, _File]) -> None:
        for path in sorted(folder.iterdir()):
            if path.is_dir():
                made: _File | _Folder = _Folder()
                self._names[made] = {}
                self._load(path, made, known)
            else:
                made = known.setdefault(path.stat().st_ino, _File(path.read_bytes(), flushed=True))
            self._names[node][path.name] = made

    def _find(self, path: str) -> tuple[_Folder, str, _File | _Folder | None]:
        """Return the folder of a path, its name, and what is there."""
        *folders, name = path.split("/")
        node = self._root
        for folder in folders:
            node = self._names[node][folder]
        return node, name, self._root if path == "." else self._names[node].get(name)

    def _change(self, removed: Iterable[tuple[_Folder, str]], added: Iterable[tuple[_Folder, str, object]]) -> None:
        change = _Change(tuple(removed), tuple(added))
        change.apply(self._names)
        self._pending.append(change)

    def write(self, changed: dict[str, bytes]) -> None:
        """Write files: path -> content."""
        for path, content in changed.items():
            folder, name, node = self._find(path)
            if node is None:
                self._change([], [(folder, name, _File(content, flushed=False))])
            elif node.content != content:
                node.content = content

    def follow(self, operation: Operation) -> None:
        """Do one operation."""
        if not operation.succeeded or operation.kind == "mark":
            return
        folder, name, node = self._find(operation.path)
        match operation.kind:
            case "fsync" if isinstance(node, _Folder):
                for change in [change for change in self._pending if change.touches(node)]:
                    change.apply(self._flushed)
                    self._pending.remove(change)
                self._flushed.setdefault(node, {})
            case "fsync" if node is not None:
                node.flushed = node.content
            case "mkdir":
                made = _Folder()
                self._names[made] = {}
                self._change([], [(folder, name, made)])
            case "unlink" | "rmdir":
                self._change([(folder, name)], [])
            case "rename":
                self._change([(folder, name)], [(*self._find(operation.target)[:2], node)])
            case "link":
                self._change([], [(*self._find(operation.target)[:2], node)])

    def _tree(self, names: _Names, how: str) -> dict[str, bytes | None]:
        found: dict[str, bytes | None] = {}
        contents: dict[_File, bytes] = {}

        def walk(folder: _Folder, prefix: str) -> None:
            for name, node in names.get(folder, {}).items():
                if isinstance(node, _Folder):
                    found[prefix + name] = None
                    walk(node, f"{prefix}{name}/")
                else:
                    content = {"all": node.content, "torn": node.torn(), "flushed": node.flushed}[how]
                    found[prefix + name] = contents.setdefault(node, content)

        walk(self._root, "")
        return found

    def states(self, number: int, *, reordered: bool) -> Iterator[State]:
        """Yield what may be found if the power fails now.

        Args:
            number: How many operations were done.
            reordered: Whether to yield also the states in which one of the changes since the last flush is missing, or is
                the only one that survived.
        """
        yield State(number, "everything (the process was killed)", self._tree(self._names, "all"))
        yield State(number, "only what was flushed", self._tree(self._flushed, "flushed"))
        yield State(number, "all names, but contents only as flushed", self._tree(self._names, "flushed"))
        yield State(number, "all names, the contents not flushed cut in half", self._tree(self._names, "torn"))
        if reordered:
            for lost in self._pending:
                others = [change for change in self._pending if change is not lost]
                yield State(number, f"all but one change ({_described(lost)})", self._with(others))
                yield State(number, f"of the changes only one ({_described(lost)})", self._with([lost]))

    def _with(self, changes: Sequence[_Change]) -> dict[str, bytes | None]:
        names = {folder: dict(entries) for folder, entries in self._flushed.items()}
        for change in changes:
            if change.applies_to(names):
                change.apply(names)
        return self._tree(names, "all")


def _described(change: _Change) -> str:
    return " ".join([*(f"-{name}" for _, name in change.removed), *(f"+{name}" for _, name, _ in change.added)])


def power_cuts(
    operations: Sequence[Operation], start: Path | None = None, *, reordered: bool = False
) -> Iterator[State]:
    """Yield each distinct folder that a power cut during these operations may leave behind.

    After a mark folders are yielded that were yielded before it too: then more was finished.

    Args:
        operations: The operations, as recorded.
        start: The folder before them; by default an empty one.
        reordered: See `Disk.states`.
    """
    seen = set()
    for state in _all_states(operations, Disk(start), reordered=reordered):
        if state is None:
            seen.clear()
        elif state.digest not in seen:
            seen.add(state.digest)
            yield state


def _all_states(operations: Sequence[Operation], disk: Disk, *, reordered: bool) -> Iterator[State | None]:
    """Yield the states after each write and each operation, and None at each mark."""
    for number, operation in enumerate(operations, start=1):
        if operation.kind == "mark":
            yield None
        disk.write(operation.changed)
        yield from disk.states(number, reordered=reordered)
        disk.follow(operation)
        yield from disk.states(number, reordered=reordered)
