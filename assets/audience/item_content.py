"""Content of items as MUFM's SASRec takes it: the mean frame, the first frame and the mean word (appendix 5)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from assets.embeddings import text_embeddings, visual_embeddings
from assets.engine.packed_rows import packed_rows
from models.predictors.content_components import mean_rows
from models.recommenders import ItemFeatures
from storage.store import Store


def item_content(store: Store, items: Sequence[str]) -> ItemFeatures:
    """Return the content of items from the store's embeddings.

    Args:
        store: Store with the stages `visual_embeddings` and `text_embeddings`.
        items: N ids. An item that a stage does not know lacks the modality.

    Returns:
        Modalities "frames" (mean over the frames), "cover" (the first frame, in place of a cover) and "title" (mean over the
        words), each (N, width) float32. A modality that no item has is left out.
    """
    stages, vectors, known = store.stages(), {}, {}
    for names, stage in ((("frames", "cover"), visual_embeddings.NAME), (("title",), text_embeddings.NAME)):
        rows = packed_rows(store, stages[stage], items)
        has = rows.lengths > 0
        if not has.any():
            continue
        vectors[names[0]] = np.nan_to_num(mean_rows(rows, dtype=np.float32))
        if len(names) > 1:
            vectors[names[1]] = np.zeros_like(vectors[names[0]])
            vectors[names[1]][has] = rows.values[rows.starts[has]]
        known |= dict.fromkeys(names, has)
    return ItemFeatures(vectors, known)
