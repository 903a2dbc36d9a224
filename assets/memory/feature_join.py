"""The features of many videos, put together from the stages, as the predictor and the bank take them."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from assets.embeddings import acoustic_embeddings, retrieval_vectors, text_embeddings, visual_embeddings
from assets.feedback import temporal_embeddings
from assets.protocol.popularity import read_popularity
from assets.protocol.splits import read_splits
from models.predictors.features import PackedRows, VideoFeatures
from storage.hashing import content_hash
from storage.pack import open_pack
from storage.splits import GAP
from storage.stage import Stage
from storage.store import Store

FRAMES = (visual_embeddings.NAME, acoustic_embeddings.NAME)
BLOCK = 4096  # videos whose keys are made at a time
FEATURES = (*FRAMES, text_embeddings.NAME, temporal_embeddings.NAME, retrieval_vectors.NAME)


class MixedVersions(RuntimeError):
    """Rows of one stage were made by different encoders or parameters: they cannot stand in one bank."""


def failed_items(store: Store, *, but: str | None = None) -> set[str]:
    """The items that failed in any stage; but: one that is passed over."""
    states = [stage.states() for name, stage in store.stages().items() if name != but]
    return {item for frame in states for item in frame.filter(pl.col("status") == "failed")["item"]}


def usable_items(store: Store) -> pl.DataFrame:
    """The splits' rows without the gap's, and without the items that failed in any stage but one.

    Those that the process failed on stay: they are retrieved by content alone, as items without feedback are (M3TR
    appendix H.3).
    """
    failed = failed_items(store, but=temporal_embeddings.NAME)
    return read_splits(store).filter((pl.col("split") != GAP) & ~pl.col("item").is_in(sorted(failed)))


def fingerprints(store: Store) -> dict[str, list[str]]:
    """The fingerprints that each feature stage's rows have: more than one where it is half recomputed."""
    return {name: sorted(store.stages()[name].states()["fingerprint"].unique()) for name in FEATURES}


def versions(store: Store) -> dict[str, str]:
    """Fingerprint of every feature stage, by name: what a bank is made of, and what its queries must be made of.

    Raises:
        MixedVersions: a stage is half recomputed.
    """
    found = fingerprints(store)
    for name, prints in found.items():
        if len(prints) > 1:
            raise MixedVersions(f"{name}: rows of {len(prints)} versions; materialise it to the end first")
    return {name: "".join(prints) or "empty" for name, prints in found.items()}


def sample_digests(store: Store, *splits: str) -> dict[str, str]:
    """Hash of what is read of each item of the splits, beside its neighbours: its side, its features and its label."""
    sides = usable_items(store).filter(pl.col("split").is_in(splits)).select("item", "split")
    frame = sides.join(read_popularity(store).select("item", "target"), on="item", how="left", maintain_order="left")
    for name in FEATURES:
        states = store.stages()[name].states().select("item", pl.col("output_hash").alias(name))
        frame = frame.join(states, on="item", how="left", maintain_order="left")
    return {item: content_hash(rest) for item, *rest in frame.iter_rows()}


def video_features(store: Store, items: Sequence[str]) -> VideoFeatures:
    """Rows of `items` in order, memory-mapped; an item without a modality has no rows there.

    They come from packs that follow the stages (`storage.pack`): what the stages hold now is what is read.
    """
    stages = store.stages()
    return VideoFeatures(
        visual=_packed(store, stages[visual_embeddings.NAME], items),
        acoustic=_packed(store, stages[acoustic_embeddings.NAME], items),
        text=_packed(store, stages[text_embeddings.NAME], items),
        temporal=_packed(store, stages[temporal_embeddings.NAME], items),
    )


def _packed(store: Store, stage: Stage, items: Sequence[str]) -> PackedRows:
    pack = open_pack(store, stage)
    starts, lengths = pack.find(items)
    return PackedRows(pack.values, starts, lengths, longest=pack.longest, keep=pack)


def retrieval_keys(
    store: Store, items: Sequence[str], *, temporal_key: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What similarity is computed from: content (n, dc) and its mask (n,), pooled temporal rows (n, dt) and their mask (n,).

    Content vectors have unit length. Mean-pooled temporal rows have it with `temporal_key = "cosine"`; with "dot" they are
    as M3TR section 3.3 prints them, and a video's neighbours are then mostly those with the longest vectors.
    """
    stages = store.stages()
    vectors = _packed(store, stages[retrieval_vectors.NAME], items)
    rows = _packed(store, stages[temporal_embeddings.NAME], items)
    content = np.zeros((len(items), vectors.width), np.float32)
    pooled = np.zeros((len(items), rows.width), np.float32)
    for start in range(0, len(items), BLOCK):
        block = np.arange(start, min(start + BLOCK, len(items)))
        content[block] = vectors.read(block)[0][:, 0]
        total = rows.read(block)[0].sum(axis=1, dtype=np.float64)
        mean = total / np.maximum(rows.lengths[block], 1)[:, None]
        if temporal_key == "cosine":
            mean /= np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
        pooled[block] = mean
    return content, vectors.lengths > 0, pooled, rows.lengths > 0
