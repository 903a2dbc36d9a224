"""The features of many videos, joined from the stages into inputs of the predictor and the bank."""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from assets.embeddings import acoustic_embeddings, retrieval_vectors, text_embeddings, visual_embeddings
from assets.engine.packed_rows import packed_rows
from assets.engine.user_errors import UserError
from assets.feedback import temporal_embeddings
from assets.protocol.labels import matrix, names_of, read_labels
from assets.protocol.splits import read_splits
from models.predictors.features import VideoFeatures
from storage.hashing import row_hashes
from storage.splits import GAP
from storage.store import Store

FRAMES = (visual_embeddings.NAME, acoustic_embeddings.NAME)
BLOCK = 4096  # videos whose keys are computed at once
MODALITY_STAGES = {
    "visual": visual_embeddings.NAME,
    "acoustic": acoustic_embeddings.NAME,
    "text": text_embeddings.NAME,
    "temporal": temporal_embeddings.NAME,
}
FEATURES = (*FRAMES, text_embeddings.NAME, temporal_embeddings.NAME, retrieval_vectors.NAME)


class MixedVersions(UserError):
    """Rows of one stage were computed by different encoders or parameters, so one bank cannot hold them."""


def failed_items(store: Store, *, but: str | None = None) -> set[str]:
    """Return the items with a failed row in any stage.

    Args:
        store: The store.
        but: Name of a stage to ignore, or None.
    """
    states = [stage.states() for name, stage in store.stages().items() if name != but]
    return {item for frame in states for item in frame.filter(pl.col("status") == "failed")["item"]}


def usable_items(store: Store) -> pl.DataFrame:
    """Return the split's rows without the gap, and without items that failed in a stage other than `temporal_embeddings`.

    Items on which only the process failed stay. Like items without feedback, they are retrieved by content alone (M3TR,
    appendix H.3).
    """
    failed = failed_items(store, but=temporal_embeddings.NAME)
    return read_splits(store).filter((pl.col("split") != GAP) & ~pl.col("item").is_in(sorted(failed)))


def fingerprints(store: Store) -> dict[str, list[str]]:
    """Return the fingerprints of each feature stage's rows; a stage that is partly recomputed has several."""
    return {name: sorted(store.stages()[name].states()["fingerprint"].unique()) for name in FEATURES}


def versions(store: Store) -> dict[str, str]:
    """Return the fingerprint of every feature stage by name; a bank and its queries must agree in them.

    Raises:
        MixedVersions: A stage is partly recomputed.
    """
    by_stage = fingerprints(store)
    for name, prints in by_stage.items():
        if len(prints) > 1:
            raise MixedVersions(
                f"{name} holds rows of {len(prints)} versions; materialise it completely first "
                f"(dagster asset materialize --select '{name}')"
            )
    return {name: "".join(prints) or "empty" for name, prints in by_stage.items()}


def sample_digests(store: Store, *splits: str) -> dict[str, str]:
    """Return a hash of each item's split, features and labels, for the items of the given splits."""
    sides = usable_items(store).filter(pl.col("split").is_in(splits)).select("item", "split")
    labels = read_labels(store)
    frame = sides.with_columns(
        pl.Series(name, values).fill_nan(None)
        for name, values in zip(names_of(labels), matrix(labels, sides["item"], "value").T, strict=True)
    )
    for name in FEATURES:
        states = store.stages()[name].states().select("item", pl.col("output_hash").alias(name))
        frame = frame.join(states, on="item", how="left", maintain_order="left")
    return dict(zip(frame["item"].to_list(), row_hashes(frame.drop("item")), strict=True))


def video_features(store: Store, items: Sequence[str]) -> VideoFeatures:
    """Return the features of `items` in order, memory-mapped. An item that lacks a modality has no rows there.

    The rows come from packs (`storage.pack`), which are brought up to date with the stages first.

    Args:
        store: The store.
        items: Ids of the items.
    """
    stages = store.stages()
    return VideoFeatures(
        **{modality: packed_rows(store, stages[name], items) for modality, name in MODALITY_STAGES.items()}
    )


def content_keys(store: Store, items: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the retrieval vectors of `items`, (n, dc) of unit length, and their mask (n,)."""
    vectors = packed_rows(store, store.stages()[retrieval_vectors.NAME], items)
    content = np.zeros((len(items), vectors.width), np.float32)
    for block in blocks(len(items)):
        content[block] = vectors.read(block)[0][:, 0]
    return content, vectors.lengths > 0


def blocks(count: int) -> Iterator[np.ndarray]:
    """Yield range(count) in blocks of at most `BLOCK`, so that memory never holds the rows of all videos."""
    for start in range(0, count, BLOCK):
        yield np.arange(start, min(start + BLOCK, count))
