"""The manifest: the one object that says which files a stage, table, artifact or log of the store has."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from storage.hashing import content_hash

FORMAT = 1
NAME = "manifest.json"
REMEMBERED = 64  # commits whose numbers stay in the manifest; a lost answer is recognised by them


class ManifestDamaged(ValueError):
    """The bytes are no manifest, or not the ones that were written."""


@dataclass(frozen=True)
class Entry:
    """One file of the folder.

    Attributes:
        size: Its size in bytes.
        sha256: Digest of its content.
        object: Name of the object that holds it; None for a small file, which the manifest itself holds.
        content: The content of a small file.
    """

    size: int
    sha256: str
    object: str | None = None
    content: bytes | None = None

    def to_json(self) -> list[Any]:
        """Return the entry as JSON."""
        text = None if self.content is None else base64.b64encode(self.content).decode("ascii")
        return [self.size, self.sha256, self.object, text]

    @staticmethod
    def from_json(values: list[Any]) -> Entry:
        """Return the entry that `to_json` wrote."""
        size, sha256, name, text = values
        return Entry(size, sha256, name, None if text is None else base64.b64decode(text))


@dataclass(frozen=True)
class Manifest:
    """The files of a folder at one moment.

    Attributes:
        files: Path within the folder -> entry.
        removed: Object that no file needs any more -> when that began, in seconds since 1970. Upkeep deletes it later.
        commits: Numbers of the last commits, newest last.
    """

    files: Mapping[str, Entry] = field(default_factory=dict)
    removed: Mapping[str, float] = field(default_factory=dict)
    commits: tuple[str, ...] = ()

    def changed(self, edits: Mapping[str, Entry | None], commit: str, *, now: float) -> Manifest:
        """Return the manifest after a commit.

        Args:
            edits: Path -> its new entry, or None if the file was removed.
            commit: Number of the commit.
            now: Seconds since 1970.
        """
        files = {path: entry for path, entry in self.files.items() if edits.get(path, entry) is not None}
        files |= {path: entry for path, entry in edits.items() if entry is not None}
        used = {entry.object for entry in files.values()}
        unused = {entry.object: now for entry in self.files.values() if entry.object and entry.object not in used}
        removed = {name: when for name, when in {**unused, **self.removed}.items() if name not in used}
        return Manifest(files, removed, (*self.commits, commit)[-REMEMBERED:])

    def to_bytes(self) -> bytes:
        """Return the manifest as JSON, with a digest of its content."""
        facts = {
            "format": FORMAT,
            "commits": list(self.commits),
            "removed": dict(sorted(self.removed.items())),
            "files": {path: entry.to_json() for path, entry in sorted(self.files.items())},
        }
        text = json.dumps(facts, separators=(",", ":"))
        return f"{content_hash(text)}\n{text}".encode()

    @staticmethod
    def from_bytes(content: bytes) -> Manifest:
        """Return the manifest that `to_bytes` wrote.

        Raises:
            ManifestDamaged: The bytes are not those that were written, or a later version wrote them.
        """
        try:
            digest, text = content.decode().split("\n", 1)
        except ValueError:
            raise ManifestDamaged("it is no manifest") from None
        if content_hash(text) != digest:
            raise ManifestDamaged("its content differs from its digest")
        facts = json.loads(text)
        if facts["format"] != FORMAT:
            raise ManifestDamaged(f"it has format {facts['format']}, this version reads {FORMAT}")
        files = {path: Entry.from_json(entry) for path, entry in facts["files"].items()}
        return Manifest(files, facts["removed"], tuple(facts["commits"]))
