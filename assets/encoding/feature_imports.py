"""Embeddings that somebody else computed stand in for a stage's own (`[imports]`, docs/imports.md)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow as pa

from assets.encoding.imported_files import open_import
from assets.engine.run_stage import run_stage
from assets.engine.store_access import open_store
from assets.settings import Settings
from storage.fingerprint import Fingerprint
from storage.hashing import content_hash
from storage.rows import Row

Payload = Callable[[int], pa.Schema]


@dataclass(frozen=True)
class ImportItems:
    """The items that an imported file is read for.

    Attributes:
        listed: Every item of the data set, in stored order. Rows without ids are in this order.
        readable: The items that get a row: those whose media file did not fail.
    """

    listed: Sequence[str]
    readable: Sequence[str]


def import_aligned(
    context: dg.AssetExecutionContext, settings: Settings, name: str, payload: Payload, items: ImportItems
) -> dg.MaterializeResult:
    """Fill an embedding stage of up to K vectors a video; a pooled vector stands as the first of them, the rest masked."""
    count = settings.sampling.frames

    def pad(rows: np.ndarray) -> dict[str, object]:
        made = np.zeros((count, rows.shape[1]), np.float16)
        made[: len(rows)] = rows
        return {"embedding": made, "rows": len(rows)}

    return _import(context, settings, name, payload, items, pad)


def import_words(
    context: dg.AssetExecutionContext, settings: Settings, name: str, payload: Payload, items: ImportItems
) -> dg.MaterializeResult:
    """Fill the stage of word vectors; a vector of the whole title stands as its only word."""
    return _import(context, settings, name, payload, items, lambda rows: {"embedding": rows.astype(np.float16)})


def import_vectors(
    context: dg.AssetExecutionContext, settings: Settings, name: str, payload: Payload, items: ImportItems
) -> dg.MaterializeResult:
    """Fill the stage of retrieval vectors, one a video, brought to unit length."""

    def unit(rows: np.ndarray) -> dict[str, object]:
        length = np.linalg.norm(rows[0].astype(np.float64))
        if not length:
            raise ValueError("a vector of zeros has no direction, and so no similarity")
        return {"prompt": "", "embedding": (rows[0] / length).astype(np.float32)}

    return _import(context, settings, name, payload, items, unit)


def _import(
    context: dg.AssetExecutionContext,
    settings: Settings,
    name: str,
    payload: Payload,
    items: ImportItems,
    made: Callable[[np.ndarray], Mapping[str, object]],
) -> dg.MaterializeResult:
    """Each row's input is its own content: another file recomputes only the rows that differ."""
    store = open_store(settings)
    features, missing = open_import(settings, name, items.listed)
    others = len(features.places.keys() - set(items.listed))
    context.log.info(
        "%s: imported from %s, %d vectors wide; %d items are not in it, %d of its rows are of no item here",
        *(name, features.path, features.width, len(missing), others),
    )
    lacking = set(missing)
    inputs = {item: content_hash("missing" if item in lacking else features.read(item)) for item in items.readable}

    def compute(todo: Sequence[str]) -> Iterable[Row]:
        for item in todo:
            if item in lacking:
                yield Row.missing(item, inputs[item], f"not in {features.path.name}")
                continue
            try:
                yield Row.ok(item, inputs[item], made(features.read(item)))
            except ValueError as error:
                yield Row.failed(item, inputs[item], error)

    return run_stage(
        context,
        store,
        settings.run,
        store.stage(name, payload(features.width)),
        inputs=inputs,
        fingerprint=Fingerprint(code=1, model={"imported": Path(features.path).name, "width": features.width}),
        compute=compute,
    )
