"""The comparison of two versions of the memory bank."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from storage.artifact import Artifact
from storage.artifact_version import ArtifactVersion
from storage.bank.drift import Drift, drift
from storage.bank.memory_bank import MemoryBank

CONTENT, TEMPORAL = "retrieval_vectors", "temporal_embeddings"


@dataclass(frozen=True)
class Comparison:
    """The differences between two versions.

    Attributes:
        older: The older version.
        newer: The newer version.
        added: Members of the newer version only.
        removed: Members of the older version only.
        moved: Members of both whose content vector, temporal vector or label differs.
        versions: Name -> (older, newer) of the encoders and processes that made the vectors, if they differ.
        content_drift: Drift of the content vectors; None if a version has fewer than two.
        temporal_drift: Drift of the temporal vectors; None if a version has fewer than two.
    """

    older: ArtifactVersion
    newer: ArtifactVersion
    added: list[str]
    removed: list[str]
    moved: list[str]
    versions: dict[str, tuple[Any, Any]]
    content_drift: Drift | None
    temporal_drift: Drift | None


def compare(artifact: Artifact, older: int, newer: int) -> Comparison:
    """Compare two versions.

    Args:
        artifact: The bank's artifact.
        older: Number of the older version.
        newer: Number of the newer version.

    Raises:
        StoreError: There is no such version; the message lists those that are kept.
    """
    banks = [MemoryBank(artifact.find(version)) for version in (older, newer)]
    places = [{item: row for row, item in enumerate(bank.items.tolist())} for bank in banks]
    common = [item for item in places[0] if item in places[1]]
    rows = [np.array([place[item] for item in common], dtype=np.int64) for place in places]
    same = np.ones(len(common), bool)
    for name in ("content", "temporal", "labels"):
        first, second = (getattr(bank, name) for bank in banks)
        if first.shape[1:] != second.shape[1:]:
            same[:] = False
            continue
        for start in range(0, len(common), 65_536):
            part = slice(start, start + 65_536)
            before, after = first[rows[0][part]], second[rows[1][part]]
            equal = (before == after) | ((before != before) & (after != after))  # an unknown label is NaN
            same[part] &= equal.reshape(len(equal), -1).all(axis=1)
    identities = [bank.version.metadata["versions"] for bank in banks]
    content, temporal = drifts(*banks)
    return Comparison(
        older=banks[0].version,
        newer=banks[1].version,
        added=sorted(places[1].keys() - places[0].keys()),
        removed=sorted(places[0].keys() - places[1].keys()),
        moved=[item for item, kept in zip(common, same, strict=True) if not kept],
        versions={
            name: (identities[0].get(name), identities[1].get(name))
            for name in sorted(identities[0].keys() | identities[1].keys())
            if identities[0].get(name) != identities[1].get(name)
        },
        content_drift=content,
        temporal_drift=temporal,
    )


def drifts(old: MemoryBank, new: MemoryBank) -> tuple[Drift | None, Drift | None]:
    """Return the drift of the content and of the temporal vectors; None if a bank has fewer than two of them."""
    identities = [bank.version.metadata["versions"] for bank in (old, new)]
    return (
        drift(
            old.content[old.content_mask],
            new.content[new.content_mask],
            comparable=identities[0].get(CONTENT) == identities[1].get(CONTENT),
        ),
        drift(
            old.temporal[old.temporal_mask],
            new.temporal[new.temporal_mask],
            comparable=identities[0].get(TEMPORAL) == identities[1].get(TEMPORAL),
        ),
    )
