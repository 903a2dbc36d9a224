"""Embedding stages from features that were computed elsewhere (section `[imports]` of the settings, docs/imports.md)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow as pa

from assets.encoding.imported_files import open_import
from assets.engine.run_stage import run_stage
from assets.settings import Settings
from storage.fingerprint import Fingerprint
from storage.hashing import content_hash
from storage.rows import Row
from storage.store import Store


@dataclass(frozen=True)
class ImportItems:
    """The items that an imported file is read for.

    Attributes:
        listed: All items of the data set, in stored order. Files without ids have their rows in this order.
        readable: The items that get a row: all items whose media file did not fail.
    """

    listed: Sequence[str]
    readable: Sequence[str]


@dataclass(frozen=True)
class FeatureImport:
    """How imported features fill a stage in place of its encoder.

    Attributes:
        items: Store -> the items that the file is read for.
        finish: An item's features (rows, width) -> the payload of its row. If it raises a ValueError, the row is a failed row.
    """

    items: Callable[[Store], ImportItems]
    finish: Callable[[np.ndarray], Mapping[str, object]]


def import_features(
    context: dg.AssetExecutionContext,
    settings: Settings,
    store: Store,
    name: str,
    payload: Callable[[int], pa.Schema],
    imports: FeatureImport,
) -> dg.MaterializeResult:
    """Fill a stage from the file that the settings name for it.

    The input hash of a row is a hash of its features, so a new file recomputes only the rows that differ.

    Args:
        context: The asset's context, for its log.
        settings: The file, and whether it may lack items.
        store: The store with the stage.
        name: The stage.
        payload: Features' width -> the stage's columns.
        imports: The items, and how features become rows.

    Raises:
        storage.datasets.errors.DatasetError: The file is invalid; the message names file, row and item.
    """
    items = imports.items(store)
    features, missing = open_import(settings, name, items.listed)
    others = len(features.places.keys() - set(items.listed))
    context.log.info(
        "%s: imported from %s, vectors of width %d; the file lacks %d items, and %d of its rows belong to no item here",
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
                yield Row.ok(item, inputs[item], imports.finish(features.read(item)))
            except ValueError as error:
                yield Row.failed(item, inputs[item], error)

    return run_stage(
        context,
        store,
        settings,
        store.stage(name, payload(features.width)),
        inputs=inputs,
        fingerprint=Fingerprint(code=1, model={"imported": Path(features.path).name, "width": features.width}),
        compute=compute,
        is_quick=True,
    )
