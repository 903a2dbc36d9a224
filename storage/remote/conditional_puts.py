"""Whether a server honours the conditions of puts, which everything else rests on."""

import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from storage.durable import StoreError
from storage.remote.objects import ObjectFolder, PutRefused, RemoteError

AT_ONCE = 8


def check_conditional_puts(objects: ObjectFolder) -> None:
    """Try both conditions on objects of their own, and delete them.

    Some servers ignore the headers If-None-Match and If-Match without an error: then two writers overwrite each other. An
    answer that is lost can make the writer that was accepted look refused. So the trial is repeated once if no writer was
    accepted or a request failed.

    Raises:
        StoreError: The server ignores one of them.
        RemoteError: It does not answer.
    """
    with suppress(RemoteError, NobodyAccepted):
        return _try_once(objects)
    return _try_once(objects)


class NobodyAccepted(StoreError):
    """No writer was told that its object was accepted."""


def _try_once(objects: ObjectFolder) -> None:
    name = f"probes/{uuid.uuid4().hex}"
    first = [b"%d" % number for number in range(AT_ONCE)]
    second = [b"new " + content for content in first]
    try:
        tag = _one_accepted(objects, name, first, "If-None-Match", lambda content: objects.put_if_absent(name, content))
        _one_accepted(objects, name, second, "If-Match", lambda content: objects.put_if_match(name, content, tag))
    finally:
        with suppress(RemoteError):
            objects.delete([name])


def _one_accepted(
    objects: ObjectFolder, name: str, contents: Sequence[bytes], header: str, put: Callable[[bytes], str]
) -> str:
    """Put all contents at once under one condition, and return the tag of the only one that was accepted."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        tags = list(pool.map(lambda content: _accepted(lambda: put(content)), contents))
    accepted = [number for number, tag in enumerate(tags) if tag is not None]
    if len(accepted) == 1 and objects.get(name).content == contents[accepted[0]]:
        return tags[accepted[0]]
    error = StoreError if accepted else NobodyAccepted
    raise error(
        f"{objects.url} ({objects.endpoint}): this server does not honour the condition {header} of a put: {len(accepted)} of "
        f"{AT_ONCE} writers wrote the same object. Results of several workers would overwrite each other. Use a server that "
        "does (docs/object_storage.md), or a folder (store.path)"
    )


def _accepted(put: Callable[[], str]) -> str | None:
    try:
        return put()
    except PutRefused:
        return None
