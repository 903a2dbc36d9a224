"""Two versions of the memory bank side by side."""

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
    """added, removed: members of the newer and of the older version alone; moved: members of both with another content
    or temporal vector, or label; versions: what made the vectors, name -> (older, newer), where they differ."""

    older: ArtifactVersion
    newer: ArtifactVersion
    added: list[str]
    removed: list[str]
    moved: list[str]
    versions: dict[str, tuple[Any, Any]]
    content_drift: Drift | None
    temporal_drift: Drift | None


def compare(artifact: Artifact, older: int, newer: int) -> Comparison:
    """Compares two versions that are kept. Raises StoreError for one that is not."""
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
            equal = first[rows[0][part]] == second[rows[1][part]]
            same[part] &= equal.reshape(len(equal), -1).all(axis=1)
    made = [bank.version.metadata["versions"] for bank in banks]
    content, temporal = drifts(*banks)
    return Comparison(
        older=banks[0].version,
        newer=banks[1].version,
        added=sorted(places[1].keys() - places[0].keys()),
        removed=sorted(places[0].keys() - places[1].keys()),
        moved=[item for item, kept in zip(common, same, strict=True) if not kept],
        versions={
            name: (made[0].get(name), made[1].get(name))
            for name in sorted(made[0].keys() | made[1].keys())
            if made[0].get(name) != made[1].get(name)
        },
        content_drift=content,
        temporal_drift=temporal,
    )


def drifts(old: MemoryBank, new: MemoryBank) -> tuple[Drift | None, Drift | None]:
    """Drift of the content and of the temporal vectors; None where one of the banks has fewer than two."""
    made = [bank.version.metadata["versions"] for bank in (old, new)]
    return (
        drift(
            old.content[old.content_mask],
            new.content[new.content_mask],
            comparable=made[0].get(CONTENT) == made[1].get(CONTENT),
        ),
        drift(
            old.temporal[old.temporal_mask],
            new.temporal[new.temporal_mask],
            comparable=made[0].get(TEMPORAL) == made[1].get(TEMPORAL),
        ),
    )
