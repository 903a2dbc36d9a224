"""Groups of near-duplicate videos: equal bytes or similar frames. No query may find a copy of itself in the bank."""

import hashlib
from collections.abc import Sequence

import numpy as np

BITS = 64
BLOCK = 2048


def _signs(hashes: np.ndarray) -> np.ndarray:
    """Return (n, K, 65) float32: each frame's bits as -1 and +1, then 1. Flat frames, which do not count, are zeros."""
    bits = np.unpackbits(hashes.view(np.uint8).reshape(*hashes.shape, 8), axis=-1)
    signs = np.empty((*hashes.shape, BITS + 1), np.float32)
    np.multiply(bits, 2, out=signs[..., :BITS], dtype=np.float32)
    signs[..., :BITS] -= 1
    signs[..., BITS] = 1
    signs[hashes == 0] = 0
    return signs


def similar_pairs(hashes: np.ndarray, *, distance: float) -> np.ndarray:
    """Return pairs of items whose frames differ by at most `distance` of 64 bits on average.

    Two frames with signs a and b differ in (64 - a.b) / 2 bits, so one matrix product gives the sums over all frames. One
    more coordinate counts the frames that are informative in both items, weighted by -(64 - 2 distance). The product is
    then >= 0 exactly for the pairs within the distance.

    Args:
        hashes: (n, K) uint64, one perceptual hash per frame, aligned between items. 0 stands for a flat or absent frame,
            which does not count. At least half of the K frames must count in both items of a pair.
        distance: 0 to 64 bits.

    Returns:
        (pairs, 2) int64, the rows i < j of each pair.

    Raises:
        ValueError: The hashes are not a matrix, or the distance is out of range.

    Example:
        >>> similar_pairs(np.array([[0b1111], [0b1110], [2**63]], np.uint64), distance=1).tolist()
        [[0, 1]]
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
            # Integers below 2^24 are exact in float32; a fractional distance needs the tolerance.
            i, j = np.nonzero(sums >= -1e-3)
            i, j = i + start, j + other
            enough = (i < j) & (2 * (counted[i] & counted[j]).sum(axis=1) >= frames)
            found.append(np.stack([kept[i[enough]], kept[j[enough]]], axis=1))
    return np.concatenate(found) if found else np.zeros((0, 2), np.int64)


def duplicate_groups(
    items: Sequence[str], sha256: Sequence[str | None], hashes: np.ndarray | None, *, distance: float
) -> np.ndarray:
    """Return the duplicate group of every item.

    Items with equal bytes or similar frames are in one group, and so are items connected by a chain of such pairs. A
    group's id is a hash of its alphabetically first item, so it is the same when other items are added or removed.

    Args:
        items: n distinct ids.
        sha256: The hash of each item's file, or None for an item without a file.
        hashes: (n, K) uint64 as in `similar_pairs`, or None to compare bytes only.
        distance: As in `similar_pairs`.

    Returns:
        (n,) int64.

    Raises:
        ValueError: The lengths differ, or an argument is not allowed in `similar_pairs`.
    """
    count = len(items)
    if len(sha256) != count or (hashes is not None and len(hashes) != count):
        sizes = f"{count} items, {len(sha256)} sha256, {'no' if hashes is None else len(hashes)} hashes"
        raise ValueError(f"{sizes}: one of each is needed per item")
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
