"""Writing of tables, the log of runs, and the catalog that follows them."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import polars as pl

from assets.engine.dry_run import is_dry, stop_if_planning
from assets.engine.store_access import frame_hash
from storage.catalog import publish
from storage.fingerprint import Fingerprint
from storage.store import Store
from storage.table import TableState


def keep_table(
    context: dg.AssetExecutionContext, store: Store, name: str, frame: pl.DataFrame, fingerprint: Fingerprint
) -> bool:
    """Store a frame as the table in service, unless the table already holds it.

    Args:
        context: The asset's context.
        store: The store.
        name: Name of the table and of its asset.
        frame: The whole table.
        fingerprint: Code version and parameters that made it.

    Returns:
        Whether the table changed.

    Raises:
        WouldCompute: In a dry run, if the table would change.
    """
    digest, table = frame_hash(frame), store.table(name)
    if table.is_current(digest, fingerprint.hash, verify=True):
        _note_unchanged(context, store, name)
        return False
    stop_if_planning(reason=_why(table.state(), fingerprint, "its rows change"))
    _write(context, store, name, frame, digest, fingerprint)
    return True


def made_table(
    context: dg.AssetExecutionContext,
    store: Store,
    name: str,
    *,
    inputs_hash: str,
    fingerprint: Fingerprint,
    compute: Callable[[], pl.DataFrame],
    metadata: Mapping[str, Any] | None = None,
) -> pl.DataFrame:
    """Return the table in service if it is current; otherwise compute it and store it.

    Args:
        context: The asset's context.
        store: The store.
        name: Name of the table and of its asset.
        inputs_hash: Hash of everything that the table is computed from.
        fingerprint: Code version and parameters.
        compute: Returns the table; called only if it is not current.
        metadata: JSON-able facts to keep with a new version of the table; they do not decide whether it is current.

    Raises:
        WouldCompute: In a dry run, if the table is not current.
    """
    table = store.table(name)
    if table.is_current(inputs_hash, fingerprint.hash, verify=True):
        _note_unchanged(context, store, name)
        return table.read()
    stop_if_planning(reason=_why(table.state(), fingerprint, "its inputs changed"))
    frame = compute()
    _write(context, store, name, frame, inputs_hash, fingerprint, metadata)
    return frame


def _note_unchanged(context: dg.AssetExecutionContext, store: Store, name: str) -> None:
    if not is_dry():
        note_run(context, store, name, computed=0, seconds=0.0)


def _why(before: TableState | None, fingerprint: Fingerprint, otherwise: str) -> str:
    if before is None:
        return "not made yet"
    return otherwise if before.fingerprint == fingerprint.hash else "its parameters changed"


def _write(
    context: dg.AssetExecutionContext,
    store: Store,
    name: str,
    frame: pl.DataFrame,
    inputs_hash: str,
    fingerprint: Fingerprint,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    started = time.monotonic()
    facts = dict(metadata or {})
    store.table(name).write(frame, inputs_hash=inputs_hash, fingerprint=fingerprint.hash, metadata=facts)
    note_run(context, store, name, computed=len(frame), seconds=time.monotonic() - started)


def note_run(
    context: dg.AssetExecutionContext, store: Store, name: str, *, computed: int, failed: int = 0, seconds: float
) -> None:
    """Add a line to the log `runs`, and publish the catalog.

    The catalog is published even if nothing changed, because an earlier run may have been stopped before it did so.

    Args:
        context: The asset's context.
        store: The store.
        name: Name of the asset.
        computed: Rows that were computed or dropped.
        failed: Rows that are failed.
        seconds: Time spent.
    """
    line = {
        "run_id": context.run.run_id,
        "asset": name,
        "finished_at": datetime.now(UTC),
        "seconds": seconds,
        "computed": computed,
        "failed": failed,
    }
    store.append("runs", pl.DataFrame([line]))
    publish(store)
