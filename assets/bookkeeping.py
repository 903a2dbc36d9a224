"""What every asset leaves behind beside its rows: a line in the log of runs, and a catalog that shows what is new."""

import time
from datetime import UTC, datetime

import dagster as dg
import polars as pl

from assets.stages import frame_hash
from storage.catalog import publish
from storage.fingerprint import Fingerprint
from storage.store import Store


def keep_table(
    context: dg.AssetExecutionContext, store: Store, name: str, frame: pl.DataFrame, fingerprint: Fingerprint
) -> bool:
    """Put a whole frame in service unless it is there already; returns whether it changed anything."""
    started = time.monotonic()
    digest, table = frame_hash(frame), store.table(name)
    changed = not table.is_current(digest, fingerprint.hash)
    if changed:
        table.write(frame, inputs_hash=digest, fingerprint=fingerprint.hash)
    note_run(context, store, name, computed=len(frame) if changed else 0, seconds=time.monotonic() - started)
    return changed


def note_run(
    context: dg.AssetExecutionContext, store: Store, name: str, *, computed: int, failed: int = 0, seconds: float
) -> None:
    """Add a line to the log `runs`; where something was computed, publish the catalog."""
    line = {
        "run_id": context.run.run_id,
        "asset": name,
        "finished_at": datetime.now(UTC),
        "seconds": seconds,
        "computed": computed,
        "failed": failed,
    }
    store.append("runs", pl.DataFrame([line]))
    if computed:
        publish(store)
