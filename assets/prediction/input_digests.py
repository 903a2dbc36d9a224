"""What a forecast depends on: tables, fits, and a hash of each item's features, labels and metadata."""

from __future__ import annotations

import polars as pl

from assets.audience.recommendation_scores import NAME as SCORES
from assets.audience.recommendation_scores import read_scores
from assets.memory.feature_join import sample_digests
from assets.metadata import metadata_features
from storage.hashing import cell_hashes
from storage.store import Store

TABLES = ("interactions", "counters", "popularity", "labels", "splits", "author_history", SCORES, "neighbours")
COLUMNS = {"item": pl.String, "digest": pl.String}
FITS = ("hawkes_process", "memory_bank", "window_columns")


def input_digests(store: Store, *splits: str) -> dict[str, str]:
    """Return a hash of what a predictor reads of each item, for the items of the given splits."""
    digests = sample_digests(store, *splits)
    states = store.stages()[metadata_features.NAME].states().select("item", pl.col("output_hash").alias("metadata"))
    frame = pl.DataFrame({"item": list(digests), "digest": list(digests.values())}, schema=COLUMNS)
    frame = frame.join(states, on="item", how="left", maintain_order="left")
    hashes = dict(zip(digests, cell_hashes(frame.drop("item")), strict=True))
    if (scores := read_scores(store)) is not None:
        scored = frame.join(scores.select("item", "logit"), on="item", how="inner", maintain_order="left")
        hashes.update(zip(scored["item"].to_list(), cell_hashes(scored.drop("item")), strict=True))
    return hashes
