"""What visual_embeddings and acoustic_embeddings are: one vector an element of a list (a frame, a segment of sound)."""

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa

from assets.encoding import encoded, encoder_fingerprint, load
from assets.imported_files import imported
from assets.imports import import_aligned
from assets.increment import run_stage
from assets.settings import Settings
from assets.stages import open_store, outputs
from storage.arrays import fixed


def payload(count: int, width: int) -> pa.Schema:
    """Columns: `embedding` (count, width), of which the first `rows` are real."""
    return pa.schema([fixed("embedding", (count, width), "float16"), pa.field("rows", pa.int32())])


def embed_aligned(
    context: dg.AssetExecutionContext,
    settings: Settings,
    *,
    name: str,
    role: str,
    upstream: ModuleType,
    column: str,
    decode: Callable[[bytes], Any],
    encode: Callable[[Any, list[Any]], np.ndarray],
) -> dg.MaterializeResult:
    """Fill the stage `name`: `encode(encoder, elements)` gives (n, width) for a video's decoded elements of `column`."""
    count = settings.sampling.frames
    if name in imported(settings):
        return import_aligned(context, settings, name, partial(payload, count))
    store = open_store(settings)
    source = store.stage(upstream.NAME, upstream.PAYLOAD)
    inputs = outputs(source)
    encoder = load(settings, role)
    return run_stage(
        context,
        store,
        settings.run,
        store.stage(name, payload(count, encoder.width)),
        inputs=inputs,
        fingerprint=encoder_fingerprint(settings, role, code=1, count=count),
        compute=lambda todo: encoded(
            todo,
            upstream=source,
            column=column,
            inputs=inputs,
            decode=decode,
            encode=lambda elements: _padded(encode(encoder, elements), count),
        ),
    )


def _padded(rows: np.ndarray, count: int) -> dict[str, object]:
    made = np.zeros((count, rows.shape[1]), dtype=np.float16)
    made[: len(rows)] = rows[:count]
    return {"embedding": made, "rows": min(len(rows), count)}
