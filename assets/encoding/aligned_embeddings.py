"""What visual_embeddings and acoustic_embeddings are: one vector an element of a list (a frame, a segment of sound)."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import ModuleType
from typing import Any

import dagster as dg
import pyarrow as pa

from assets.encoding.encoder_stage import encode_stage, width
from assets.encoding.encoding_tasks import padded
from assets.encoding.feature_imports import ImportItems, import_aligned
from assets.settings import Settings
from storage.arrays import fixed


def payload(count: int, width: int) -> pa.Schema:
    """Columns: `embedding` (count, width), of which the first `rows` are real."""
    return pa.schema([fixed("embedding", (count, width), "float16"), pa.field("rows", pa.int32())])


def import_vectors_of_parts(
    context: dg.AssetExecutionContext, settings: Settings, name: str, items: ImportItems
) -> dg.MaterializeResult:
    """Fill the stage `name` from an imported file."""
    return import_aligned(context, settings, name, partial(payload, settings.sampling.frames), items)


def embed_aligned(
    context: dg.AssetExecutionContext,
    settings: Settings,
    *,
    name: str,
    role: str,
    upstream: ModuleType,
    columns: Sequence[str],
    prepare: Callable[[Callable[..., Any], Mapping[str, Any]], tuple[Any, Any]],
) -> dg.MaterializeResult:
    """Fill the stage `name` with the role's vectors of what `prepare` makes of the columns (see `encode_stage`)."""
    count = settings.sampling.frames
    return encode_stage(
        context,
        settings,
        name=name,
        payload=payload(count, width(settings, role)),
        role=role,
        upstream=upstream,
        columns=columns,
        prepare=prepare,
        finish=partial(padded, count=count),
        count=count,
    )
