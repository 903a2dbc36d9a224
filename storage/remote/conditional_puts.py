"""Whether a server honours the conditions of puts, which everything else rests on."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from storage.durable import StoreError
from storage.remote.objects import ObjectFolder, PutRefused

AT_ONCE = 8


def check_conditional_puts(objects: ObjectFolder) -> None:
    """Try both conditions on an object of its own, and delete it.

    Some servers ignore the headers If-None-Match and If-Match without an error: then two writers overwrite each other.

    Raises:
        StoreError: The server ignores one of them.
        RemoteError: It does not answer.
    """
    name = f"probes/{uuid.uuid4().hex}"
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            tags = list(
                pool.map(lambda number: _accepted(lambda: objects.put_if_absent(name, b"%d" % number)), range(AT_ONCE))
            )
        first = [tag for tag in tags if tag is not None]
        if len(first) != 1 or objects.get(name).content != b"%d" % tags.index(first[0]):
            raise _refused(objects, "If-None-Match", f"{len(first)} of {AT_ONCE} writers created the same object")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            new = [b"new %d" % number for number in range(AT_ONCE)]
            tags = list(pool.map(lambda content: _accepted(lambda: objects.put_if_match(name, content, first[0])), new))
        second = [tag for tag in tags if tag is not None]
        if len(second) != 1 or objects.get(name).content != new[tags.index(second[0])]:
            raise _refused(objects, "If-Match", f"{len(second)} of {AT_ONCE} writers replaced the same object")
    finally:
        objects.delete([name])


def _accepted(put: Callable[[], str]) -> str | None:
    try:
        return put()
    except PutRefused:
        return None


def _refused(objects: ObjectFolder, header: str, problem: str) -> StoreError:
    return StoreError(
        f"{objects.url} ({objects.endpoint}): this server does not honour the condition {header} of a put: {problem}. Results "
        "of several workers would overwrite each other. Use a server that does (docs/object_storage.md), or a folder "
        "(store.path)"
    )
