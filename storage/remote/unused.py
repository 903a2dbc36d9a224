"""Upkeep of a bucket: which objects no manifest names. This and deep checks are the only places that list a bucket."""

import time
from collections.abc import Iterator

from storage.remote.connection import Remote
from storage.remote.manifest import NAME
from storage.remote.objects import Listed

UPLOADING = 24 * 3600.0  # seconds; a younger object may belong to a commit that goes on


def unused_objects(remote: Remote, *, retention: float) -> Iterator[Listed]:
    """Yield the objects that no file needs: of removed files, of killed writers, and of probes.

    Args:
        remote: The store.
        retention: Seconds for which the object of a removed file is kept, for workers that read an earlier manifest.

    Raises:
        RemoteError: Object storage does not answer, or a manifest is damaged.
    """
    now = time.time()
    # listed before the manifests are read: what is committed in between is in no list
    listed = [found for found in remote.objects.list() if not found.name.endswith(NAME)]
    needed, left = set(), {}
    for mirror in remote.mirrors():
        manifest = mirror.manifest()
        needed |= {f"{mirror.name}/{entry.object}" for entry in manifest.files.values() if entry.object}
        left |= {f"{mirror.name}/{name}": when for name, when in manifest.removed.items()}
    for found in listed:
        ours = "/objects/" in found.name or found.name.startswith("probes/")
        is_old = now - found.written.timestamp() >= UPLOADING and now - left.get(found.name, 0) >= retention
        if ours and is_old and found.name not in needed:
            yield found


def delete_unused(remote: Remote, *, retention: float) -> int:
    """Delete the objects that no file needs; see `unused_objects`.

    Returns:
        How many objects were deleted.
    """
    names = [found.name for found in unused_objects(remote, retention=retention)]
    remote.objects.delete(names)
    return len(names)


def delete_everything(remote: Remote) -> None:
    """Delete every object of the store, the manifests first, so that no reader meets one without its objects."""
    names = [found.name for found in remote.objects.list()]
    remote.objects.delete(sorted(names, key=lambda name: not name.endswith(NAME)))
