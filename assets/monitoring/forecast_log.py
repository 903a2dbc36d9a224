"""Every forecast as it was made, with the versions that made it; nothing in this log is overwritten (M3TR, appendix H.3)."""

import dagster as dg
import polars as pl

from assets.curves.forecast_curves import NAME as CURVES
from assets.curves.forecast_curves import forecast_curves
from assets.engine.data_versions import version_of_table
from assets.engine.dry_run import stop_if_plan_is_empty, stop_if_planning
from assets.engine.pools import IN_THE_CATALOG
from assets.engine.run_log import note_run
from assets.engine.skip_unchanged import log_marks, skip_unchanged, table_marks
from assets.engine.store_access import open_store
from assets.monitoring.logged_forecasts import NAME, SCHEMA, append_new, log_rows, not_logged, read_log
from assets.prediction.predictions import NAME as PREDICTIONS
from assets.prediction.predictions import predictions
from assets.prediction.provenance import Provenance, hours_since
from assets.settings import Settings
from assets.settings.target import horizon_name
from models import targets
from models.curves import LEVELS, QUANTILES
from storage.store import Store

CODE = 1  # raise it when the same forecasts give other rows


@dg.asset(
    group_name="monitoring",
    kinds={"parquet"},
    deps=[predictions, forecast_curves],
    description=__doc__,
    code_version=str(CODE),
    **IN_THE_CATALOG,
)
@skip_unchanged(
    NAME,
    reads=lambda store, settings: table_marks(store, PREDICTIONS, CURVES),
    makes=lambda store, settings: log_marks(store, NAME),
    when_skipped=lambda last: {**last, "new_forecasts": 0},
)
def forecast_log(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Log the forecasts of every kept version of `predictions` and `forecast_curves` that are not logged yet.

    So a run of these alone loses nothing: the next run of this asset logs its forecasts, with the time and the versions
    that the table recorded.
    """
    store = open_store(settings)
    rows = pl.concat([_kept_predictions(store), _kept_curves(store)]).sort("made_at", maintain_order=True)
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
            "log_format": CODE,
            "dagster/row_count": len(log),
            "items": log["item"].n_unique(),
            "bank_versions": log["bank_version"].n_unique(),
            "first_made_at": str(log["made_at"].min() or "none yet"),
        },
    )


def _kept_predictions(store: Store) -> pl.DataFrame:
    """Return the forecasts of the kept versions of `predictions`, oldest first."""
    parts = [SCHEMA.to_frame()]
    for state, frame in store.table(PREDICTIONS).history():
        if state.metadata:  # else it was written before tables recorded what made them
            named, made_by = frame.rename({"counted_so_far": "counted"}), Provenance(**state.metadata)
            parts.append(log_rows(named, made_by, source=PREDICTIONS, made_at=state.written_at))
    return pl.concat(parts)


def _kept_curves(store: Store) -> pl.DataFrame:
    """Return the curves of the kept versions of `forecast_curves`, oldest first: a forecast per horizon that lies ahead.

    The target of a forecast is the metric at the horizon, and its point forecast is the median.
    """
    parts = [SCHEMA.to_frame()]
    for state, frame in store.table(CURVES).history():
        if state.metadata:
            made_by = Provenance(**state.metadata)
            ahead = (pl.col("horizon_hours") > hours_since(made_by.data_end, pl.col("t0"))).fill_null(True)
            forecasts = frame.filter(ahead).with_columns(
                _at_horizon().alias("target_name"),
                pl.lit(list(LEVELS)).alias("levels"),
                pl.concat_list(QUANTILES).alias("quantiles"),
                pl.col("counted_so_far").alias("counted"),
                pl.col("q50").floor().clip(targets.smallest_count(made_by.scale)).alias("predicted_count"),
                pl.col("source").alias("model"),
            )
            values = targets.forward(forecasts["predicted_count"].to_numpy(), made_by.scale)
            rows = forecasts.with_columns(pl.Series("predicted", values, dtype=pl.Float64))
            parts.append(log_rows(rows, made_by, source=CURVES, made_at=state.written_at))
    return pl.concat(parts)


def _at_horizon() -> pl.Expr:
    """Return the name of the target's metric at the horizon, from columns `target_name` and `horizon_hours`."""
    horizon = pl.col("horizon_hours").map_elements(horizon_name, return_dtype=pl.String)
    return pl.concat_str([pl.col("target_name").str.extract(r"^(.*)@"), pl.lit("@"), horizon])
