"""Every forecast as it was made, with the versions that made it; nothing in this log is overwritten (M3TR, appendix H.3)."""

import dagster as dg
import polars as pl

from assets.engine.data_versions import version_of_table
from assets.engine.dry_run import stop_if_plan_is_empty, stop_if_planning
from assets.engine.pools import IN_THE_CATALOG
from assets.engine.run_log import note_run
from assets.engine.skip_unchanged import log_marks, skip_unchanged, table_marks
from assets.engine.store_access import open_store
from assets.monitoring.logged_forecasts import NAME, SCHEMA, append_new, log_rows, not_logged, read_log
from assets.prediction.predictions import NAME as PREDICTIONS
from assets.prediction.predictions import predictions
from assets.prediction.provenance import Provenance
from assets.settings import Settings
from storage.store import Store

CODE = 1  # raise it when the same inputs give another result


@dg.asset(
    group_name="monitoring",
    kinds={"parquet"},
    deps=[predictions],
    description=__doc__,
    code_version=str(CODE),
    **IN_THE_CATALOG,
)
@skip_unchanged(
    NAME,
    reads=lambda store, settings: table_marks(store, PREDICTIONS),
    makes=lambda store, settings: log_marks(store, NAME),
    when_skipped=lambda last: {**last, "new_forecasts": 0},
)
def forecast_log(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Log the forecasts of every kept version of `predictions` that are not logged yet.

    So a run of `predictions` alone loses nothing: the next run of this asset logs its forecasts, with the time and the versions
    that the table recorded.
    """
    store = open_store(settings)
    rows = _kept_forecasts(store)
    if new := len(not_logged(store, rows)):
        stop_if_planning(reason=f"{new} forecasts are not logged yet")
    stop_if_plan_is_empty()
    added = append_new(store, rows)
    note_run(context, store, NAME, computed=added, seconds=0.0)
    log = read_log(store)
    context.log.info("forecast_log: %d new forecasts, %d in total", added, len(log))
    return dg.MaterializeResult(
        data_version=version_of_table(log.select("forecast")),
        metadata={
            "new_forecasts": added,
            "dagster/row_count": len(log),
            "items": log["item"].n_unique(),
            "bank_versions": log["bank_version"].n_unique(),
            "first_made_at": str(log["made_at"].min() or "none yet"),
        },
    )


def _kept_forecasts(store: Store) -> pl.DataFrame:
    """Return the forecasts of the kept versions of `predictions`, oldest first."""
    parts = [SCHEMA.to_frame()]
    for state, frame in store.table(PREDICTIONS).history():
        if state.metadata:  # else it was written before tables recorded what made them
            named, made_by = frame.rename({"counted_so_far": "counted"}), Provenance(**state.metadata)
            parts.append(log_rows(named, made_by, source=PREDICTIONS, made_at=state.written_at))
    return pl.concat(parts)
