"""The connection of a local folder with the bucket that it is a copy of."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from storage.durable import StoreError, check_writable, explain, write_text
from storage.remote.conditional_puts import check_conditional_puts
from storage.remote.manifest import Entry
from storage.remote.mirror import Mirror
from storage.remote.objects import ObjectFolder
from storage.remote.ordinary_folder import OrdinaryFolder

MARK = "remote.json"
STATE = ".remote"  # folder with the records of what each folder holds
NAMES = "contents"  # folder of the store's own manifest that names its stages, tables, artifacts and logs
ROOT_FILES = ("store.json", "dataset.json")
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
ORDINARY = OrdinaryFolder()
_open: dict[Path, Remote | None] = {}


class Remote:
    """A store in a bucket, and the local folder of this worker.

    Attributes:
        root: The local folder.
        objects: The store's objects.
        own: Mirror of the store's own files and of the names in it.
    """

    def __init__(self, root: Path, objects: ObjectFolder):
        """Connect a folder with objects; nothing is read yet."""
        self.root, self.objects = root, objects
        self.own = Mirror(root, "", objects, state=self._state("store"), register=_nothing, files=ROOT_FILES)
        self._mirrors: dict[str, Mirror] = {}

    def mirror(self, name: str) -> Mirror:
        """Return the mirror of a folder of the store, such as `stages/frames`."""
        if name not in self._mirrors:
            state = self._state(name.replace("/", "-"))
            register = partial(self._add_name, name)
            self._mirrors[name] = Mirror(self.root / name, name, self.objects, state=state, register=register)
        return self._mirrors[name]

    def names(self, kind: str) -> list[str]:
        """Return the names in use for one kind of content."""
        return self.own.names(f"{NAMES}/{kind}")

    def mirrors(self) -> list[Mirror]:
        """Return the mirrors of all stages, tables, artifacts and logs."""
        prefix = f"{NAMES}/"
        found = (path for path in self.own.manifest().files if path.startswith(prefix))
        return [self.mirror(path.removeprefix(prefix)) for path in found]

    def _add_name(self, name: str) -> None:
        self.own.record({f"{NAMES}/{name}": Entry(0, EMPTY, content=b"")})

    def _state(self, name: str) -> Path:
        return self.root / STATE / f"{name}.json"


def _nothing() -> None:
    """A store's own manifest is named in no other one."""


def is_url(path: str) -> bool:
    """Return whether `store.path` names object storage rather than a folder."""
    return "://" in path


def default_cache(url: str) -> Path:
    """Return the default local folder of a store in a bucket: `store-cache/` and the URL's letters and digits."""
    return Path("store-cache").resolve() / re.sub(r"[^A-Za-z0-9._-]+", "-", url.split("://", 1)[1]).strip("-")


def connect(url: str, *, cache: Path | None = None, options: Mapping[str, str] | None = None) -> Path:
    """Return the local folder of a store in a bucket; it is made, and the server is tested, if this is the first time.

    Args:
        url: `s3://bucket/prefix`.
        cache: The local folder; by default `default_cache(url)`.
        options: obstore's settings.

    Raises:
        StoreError: The folder belongs to another store, the server ignores conditions of puts, or it does not answer.
    """
    root = (default_cache(url) if cache is None else cache).absolute()
    facts = {"url": url.rstrip("/"), "options": dict(options or {})}
    known = _read_mark(root)
    if known == facts and _open.get(root):
        return root
    if known is None and (root / "store.json").exists():
        raise StoreError(f"{root} is a store of its own, not a copy of {url}; name another folder (store.cache)")
    if known is not None and known["url"] != facts["url"]:
        raise StoreError(f"{root} is a copy of {known['url']}, not of {url}; name another folder (store.cache)")
    objects = ObjectFolder(**facts)
    if known is None:
        check_writable(root)
        check_conditional_puts(objects)
    if known != facts:
        write_text(root / MARK, json.dumps(facts, indent=1))
    _open[root] = Remote(root, objects)
    return root


def _read_mark(root: Path) -> dict | None:
    try:
        return json.loads((root / MARK).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise explain(error, root / MARK) from error
    except ValueError as error:
        raise StoreError(f"{root / MARK}: {error}. Remove this local folder; the bucket has everything") from error


def remote_of(root: Path) -> Remote | None:
    """Return the connection of a store's folder; None if the folder itself is the store."""
    if root not in _open:
        known = _read_mark(root)
        _open[root] = None if known is None else Remote(root, ObjectFolder(**known))
    return _open[root]


def mirror_of(folder: Path) -> Mirror | OrdinaryFolder:
    """Return the mirror of a stage's, table's, artifact's or log's folder."""
    remote = remote_of(folder.absolute().parent.parent)
    return ORDINARY if remote is None else remote.mirror(f"{folder.parent.name}/{folder.name}")


def own_mirror(root: Path) -> Mirror | OrdinaryFolder:
    """Return the mirror of a store's own files."""
    remote = remote_of(root)
    return ORDINARY if remote is None else remote.own
