"""Near-duplicate videos: the same bytes, or nearly the same frames. No query may find itself in another file."""

import hashlib
from collections.abc import Sequence

import numpy as np

BITS = 64
BLOCK = 2048


def _signs(hashes: np.ndarray) -> np.ndarray:
    """(n, K, 65) float32: each frame's bits as -1 and +1, and 1 where the frame counts; a flat frame is all zeros."""
    bits = np.unpackbits(hashes.view(np.uint8).reshape(*hashes.shape, 8), axis=-1)
    signs = np.empty((*hashes.shape, BITS + 1), np.float32)
    np.multiply(bits, 2, out=signs[..., :BITS], dtype=np.float32)
    signs[..., :BITS] -= 1
    signs[..., BITS] = 1
    signs[hashes == 0] = 0
    return signs


def similar_pairs(hashes: np.ndarray, *, distance: float) -> np.ndarray:
    """Pairs (i, j), i < j, whose frames differ by at most `distance` of 64 bits in the mean.

    hashes (n, K) uint64: one perceptual hash a frame, frames aligned; 0 is a flat frame (or none), which says nothing
    and does not count. At least half of the K frames must count in both. Returns (pairs, 2) int64.

    The differing bits of two frames are (64 - a.b) / 2 for their signs a, b; so all sums come from one matrix product,
    and with the frames that count in both as one more coordinate, weighed by -(64 - 2 distance), it is >= 0 exactly for
    the pairs within the distance.
    """
    hashes = np.ascontiguousarray(hashes, dtype=np.uint64)
    if hashes.ndim != 2:
        raise ValueError(f"hashes have shape {hashes.shape}, must be (items, frames)")
    if not 0 <= distance <= BITS:
        raise ValueError(f"distance is {distance}, must be 0 to {BITS} bits")
    frames = hashes.shape[1]
    informative = hashes != 0
    kept = np.flatnonzero(2 * informative.sum(axis=1) >= max(frames, 1))
    if not len(kept):
        return np.empty((0, 2), np.int64)
    signs = _signs(hashes[kept])
    left = signs.copy()
    left[..., BITS] *= -(BITS - 2 * distance)
    signs, left = (array.reshape(len(kept), frames * (BITS + 1)) for array in (signs, left))
    counted = informative[kept]
    found = []
    for start in range(0, len(kept), BLOCK):
        for other in range(start, len(kept), BLOCK):
            sums = left[start : start + BLOCK] @ signs[other : other + BLOCK].T
            # Integers below 2^24 are exact in float32; the tolerance is for a fractional distance.
            i, j = np.nonzero(sums >= -1e-3)
            i, j = i + start, j + other
            enough = (i < j) & (2 * (counted[i] & counted[j]).sum(axis=1) >= frames)
            found.append(np.stack([kept[i[enough]], kept[j[enough]]], axis=1))
    return np.concatenate(found) if found else np.zeros((0, 2), np.int64)


def duplicate_groups(
    items: Sequence[str], sha256: Sequence[str | None], hashes: np.ndarray | None, *, distance: float
) -> np.ndarray:
    """Group of every item, (n,) int64: equal for items joined by equal bytes or similar frames, in any number of steps.

    sha256: of each file, None without one; hashes (n, K) uint64 as in `similar_pairs`, or None. A group's id is a hash
    of its first item by name, so that it stays the same when other items come and go.
    """
    count = len(items)
    if len(sha256) != count or (hashes is not None and len(hashes) != count):
        sizes = f"{count} items, {len(sha256)} sha256, {'no' if hashes is None else len(hashes)} hashes"
        raise ValueError(f"{sizes}: one of each an item is needed")
    first: dict[str, int] = {}
    same = [(first.setdefault(digest, row), row) for row, digest in enumerate(sha256) if digest is not None]
    edges = np.array(same, dtype=np.int64).reshape(-1, 2)
    if hashes is not None and count:
        edges = np.concatenate([edges, similar_pairs(hashes, distance=distance)])
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    names: dict[int, str] = {}
    for label, item in zip(component.tolist(), items):
        names[label] = min(names.get(label, item), item)
    ids = {label: int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) >> 1 for label, name in names.items()}
    return np.array([ids[label] for label in component.tolist()], dtype=np.int64)
