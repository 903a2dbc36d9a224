"""All operations on object storage, behind one small class."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from storage.durable import StoreError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

BLOCK = 16 * 2**20  # bytes per request of a download
# A request may take 30 s, a connection 5 s. Requests that failed are sent again with growing pauses, for at most a minute.
CLIENT = {"timeout": "30s", "connect_timeout": "5s"}
RETRIES = 6
RETRIES_END_AFTER = timedelta(seconds=60)
MEMORY = "memory://"
_in_memory: dict[str, Any] = {}
Result = TypeVar("Result")


class RemoteError(StoreError):
    """Object storage did not answer, or refused a request; the message names the endpoint."""


class ObjectMissing(RemoteError):
    """There is no such object."""


class PutRefused(Exception):
    """The condition of a put does not hold: another writer was faster, or the answer to an earlier attempt was lost."""


class Fetched(NamedTuple):
    """An object: its content, and the tag that changes with it."""

    content: bytes
    tag: str


class Listed(NamedTuple):
    """An object in a listing: its name, its size in bytes, and when it was last written."""

    name: str
    size: int
    written: datetime


class ObjectFolder:
    """The objects below a URL.

    Every request goes through `send`, so that tests can make the k-th one fail.

    Attributes:
        url: `s3://bucket/prefix`, or `memory://NAME` for tests within one process.
        endpoint: Address of the server, for messages.
        sent: Number of requests so far, by operation.
        moved: Bytes so far, by operation.

    Example:
        >>> objects = ObjectFolder("memory://example")
        >>> tag = objects.put_if_absent("a", b"1")
        >>> objects.get("a").content
        b'1'
    """

    def __init__(self, url: str, options: Mapping[str, str] | None = None):
        """Name the objects; nothing is sent yet.

        Args:
            url: `s3://bucket/prefix`, another URL that obstore reads, or `memory://NAME`.
            options: obstore's settings, such as `endpoint`, `region` and `allow_http`. Credentials come from the usual
                variables (`AWS_ACCESS_KEY_ID`, ...).

        Raises:
            StoreError: `obstore` is not installed, or it does not accept the URL or an option.
        """
        self.url = url.rstrip("/")
        self.endpoint = (options or {}).get("endpoint") or os.environ.get("AWS_ENDPOINT_URL", "the provider's endpoint")
        self.sent: Counter[str] = Counter()
        self.moved: Counter[str] = Counter()
        self._store = _open(self.url, dict(options or {}))

    def send(self, operation: str, name: str, request: Callable[[], Result]) -> Result:
        """Send one request, and turn its errors into this module's.

        Args:
            operation: Name of the operation: `get`, `read`, `put`, `put_if_absent`, `put_if_match`, `delete` or `list`.
            name: Name of the object.
            request: Sends the request and returns its answer.

        Raises:
            ObjectMissing: There is no such object.
            PutRefused: The condition of a put does not hold.
            RemoteError: Every other failure, after retries.
        """
        from obstore import exceptions

        self.sent[operation] += 1
        try:
            return request()
        except FileNotFoundError as error:
            raise ObjectMissing(self._explain(operation, name, "there is no such object")) from error
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError) as error:
            raise PutRefused(name) from error
        except exceptions.NotModifiedError:
            raise
        except NotImplementedError as error:
            raise RemoteError(
                f"{self.url}: {operation} is not possible here, so it cannot hold a store. Name a folder without `file://`, or "
                "a bucket whose server honours conditions of puts (store.path)"
            ) from error
        except (exceptions.BaseError, OSError) as error:
            raise RemoteError(self._explain(operation, name, str(error).split("\n", 1)[0])) from error

    def get(self, name: str, *, unless: str | None = None) -> Fetched | None:
        """Return an object; None if its tag is still `unless`.

        Raises:
            ObjectMissing: There is no such object.
        """
        from obstore.exceptions import NotModifiedError

        def request() -> Fetched:
            result = self._store.get(name, options={"if_none_match": unless} if unless else None)
            return Fetched(bytes(result.bytes()), str(result.meta["e_tag"]))

        try:
            found = self.send("get", name, request)
        except NotModifiedError:
            return None
        self.moved["get"] += len(found.content)
        return found

    def download(self, name: str, target: Path, size: int) -> str:
        """Write an object to a file, and return the sha256 of the bytes that came.

        Args:
            name: Name of the object.
            target: The file to write.
            size: Size of the object; fewer bytes are requested where it is shorter.

        Raises:
            ObjectMissing: There is no such object.
        """
        digest = hashlib.sha256()
        with target.open("wb") as file:
            for start in range(0, size, BLOCK):
                stop = min(start + BLOCK, size)

                def request(start: int = start, stop: int = stop) -> bytes:
                    return bytes(self._store.get_range(name, start=start, end=stop))

                block = self.send("read", name, request)
                self.moved["read"] += len(block)
                digest.update(block)
                file.write(block)
        return digest.hexdigest()

    def put(self, name: str, content: bytes | Path) -> None:
        """Write an object, whether or not it exists. Large files are sent in parts."""
        self.moved["put"] += content.stat().st_size if isinstance(content, Path) else len(content)
        self.send("put", name, lambda: self._store.put(name, content))

    def put_if_absent(self, name: str, content: bytes) -> str:
        """Write an object that must not exist, and return its tag.

        Raises:
            PutRefused: It exists.
        """
        self.moved["put_if_absent"] += len(content)
        return self.send("put_if_absent", name, lambda: str(self._store.put(name, content, mode="create")["e_tag"]))

    def put_if_match(self, name: str, content: bytes, tag: str) -> str:
        """Replace an object that must still have the tag, and return its new tag.

        Raises:
            PutRefused: It has another tag, or does not exist.
        """
        self.moved["put_if_match"] += len(content)
        mode = {"e_tag": tag}
        return self.send("put_if_match", name, lambda: str(self._store.put(name, content, mode=mode)["e_tag"]))

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects; an absent one is no error."""
        for name in names:
            try:
                self.send("delete", name, lambda name=name: self._store.delete(name))
            except ObjectMissing:
                continue

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """Yield the objects whose names start with `prefix`. Only upkeep and deep checks list."""
        pages = self.send("list", prefix, lambda: list(self._store.list(prefix or None)))
        for page in pages:
            for found in page:
                yield Listed(found["path"], found["size"], found["last_modified"])

    def _explain(self, operation: str, name: str, problem: str) -> str:
        return (
            f"{self.url}/{name} ({self.endpoint}): {operation} failed: {problem}. Check the address, the credentials and the "
            "network, and run again: what was committed stays"
        )


def _open(url: str, options: dict[str, str]) -> ObjectStore:
    try:
        from obstore.exceptions import BaseError
        from obstore.store import MemoryStore, from_url
    except ImportError:
        raise StoreError(
            f"{url}: a store on object storage needs the package obstore; install it with pip install 'reelcast[objects]'"
        ) from None
    if url.startswith(MEMORY):
        return _in_memory.setdefault(url, MemoryStore())
    endpoint = options.get("endpoint") or os.environ.get("AWS_ENDPOINT_URL", "")
    allow_http = options.pop("allow_http", os.environ.get("AWS_ALLOW_HTTP", "false"))
    if endpoint.startswith("http://") and allow_http.lower() != "true":
        raise StoreError(
            f"{url}: the endpoint {endpoint} has no TLS; allow that with the option allow_http (store.options), or "
            "AWS_ALLOW_HTTP=true"
        )
    client = {**CLIENT, "allow_http": allow_http}
    retries = {"max_retries": RETRIES, "retry_timeout": RETRIES_END_AFTER}
    try:
        return from_url(url, config=options, client_options=client, retry_config=retries)
    except (BaseError, ValueError, TypeError) as error:
        problem = str(error).split("\n", 1)[0]
        raise StoreError(
            f"{url}: {problem}. store.path must be a folder or s3://bucket/prefix; store.options are obstore's"
        ) from error
