"""What a forecast depends on: tables, fits, and a hash of each item's features, labels and metadata."""

from __future__ import annotations

from assets.audience.recommendation_scores import NAME as SCORES
from assets.audience.recommendation_scores import read_scores
from assets.memory.feature_join import sample_digests
from assets.metadata import metadata_features
from storage.hashing import content_hash
from storage.store import Store

TABLES = ("interactions", "counters", "popularity", "labels", "splits", "author_history", SCORES, "neighbours")
FITS = ("hawkes_process", "memory_bank", "window_columns")


def input_digests(store: Store, *splits: str) -> dict[str, str]:
    """Return a hash of what a predictor reads of each item, for the items of the given splits."""
    states = store.stages()[metadata_features.NAME].states().select("item", "output_hash")
    metadata = dict(states.iter_rows())
    scores = read_scores(store)
    scored = {} if scores is None else {item: [logit] for item, logit in scores.select("item", "logit").iter_rows()}
    return {
        item: content_hash(digest, metadata.get(item), *scored.get(item, []))
        for item, digest in sample_digests(store, *splits).items()
    }
