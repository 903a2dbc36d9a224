"""How good the logged forecasts were, as soon as their labels are known, by age and by the versions that made them."""

from collections.abc import Mapping

import dagster as dg
import polars as pl

from assets.engine.data_versions import version_of_table
from assets.engine.dry_run import stop_if_plan_is_empty
from assets.engine.plots import picture
from assets.engine.pools import IN_THE_CATALOG
from assets.engine.run_log import keep_table
from assets.engine.shown_tables import table_of
from assets.engine.skip_unchanged import log_marks, skip_unchanged, table_marks
from assets.engine.store_access import open_store
from assets.monitoring.forecast_log import forecast_log
from assets.monitoring.known_labels import known_labels
from assets.monitoring.logged_forecasts import NAME as LOG
from assets.monitoring.logged_forecasts import SCHEMA, read_log
from assets.monitoring.scores_picture import draw_scores
from assets.monitoring.scoring import SCORES, WHOLE, score, states, summarise
from assets.prediction.predictions import NAME as PREDICTIONS
from assets.settings import Settings
from storage.fingerprint import Fingerprint
from storage.store import Store

NAME = "forecast_scores"
BY_GROUP = "forecast_score_summary"
SHOWN = ["by", "group", "target_name", "forecasts", "items", "mean_error", "mae", "mae_count", "coverage_80", "crps"]
CODE = 1  # raise it when the same inputs give another result


@dg.asset(
    group_name="monitoring",
    kinds={"parquet"},
    deps=[forecast_log],
    description=__doc__,
    code_version=str(CODE),
    **IN_THE_CATALOG,
)
@skip_unchanged(
    NAME,
    reads=lambda store, settings: [
        *log_marks(store, LOG),
        *table_marks(store, "interactions", "counters", "labels", "popularity"),
    ],
    makes=lambda store, settings: table_marks(store, NAME, BY_GROUP),
    when_skipped=lambda last: {**last, "newly_scored": 0},
)
def forecast_scores(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Score every logged forecast whose label is known, if the data that the forecast saw end before the label's time.

    A score stays when its label leaves the data, or when the protocol changes; it is made again while its label is known.
    """
    store = open_store(settings)
    log = read_log(store)
    known, marks = known_labels(store, settings, log)
    judged = states(log, known, marks)
    before, scored = read_scores(store), score(judged.filter(pl.col("state") == "scored"))
    earlier = before.join(scored, on="forecast", how="anti", maintain_order="left")
    table = pl.concat([earlier, scored]).sort("made_at", "forecast")
    summary = summarise(table.filter(pl.col("protocol").is_in(list(marks.values()))), settings.protocol.ages)
    fingerprint = Fingerprint(code=CODE)
    keep_table(context, store, NAME, table, fingerprint)
    keep_table(context, store, BY_GROUP, summary, fingerprint)
    stop_if_plan_is_empty()
    by_state = dict(judged["state"].value_counts(sort=True).iter_rows())
    context.log.info(
        "forecast_scores: %s", ", ".join(f"{n} {state}" for state, n in by_state.items()) or "no forecast yet"
    )
    return dg.MaterializeResult(
        data_version=version_of_table(table),
        metadata={
            "scored": len(table),
            "newly_scored": len(table) - len(before),
            "forecasts": dg.MetadataValue.json(by_state),
            **_numbers(summary, next(iter(marks))),
            **(
                {
                    "scores": table_of(summary.filter(pl.col("by") != "models").select(SHOWN)),
                    "over_time": picture(draw_scores(table, summary)),
                }
                if len(table)
                else {}
            ),
        },
    )


def _numbers(summary: pl.DataFrame, primary: str) -> Mapping[str, float]:
    """Return the mean scores of the primary target's forecasts, to be followed over the nights."""
    numbers = {}
    of_primary = summary.filter((pl.col("target_name") == primary) & pl.col("group").is_in(["all", WHOLE]))
    for row in of_primary.iter_rows(named=True):
        prefix = "" if row["by"] == "all" else "whole_window_"
        names = ("mae", "mae_count", "mean_error") if row["source"] == PREDICTIONS else ("coverage_80", "crps")
        numbers |= {f"{prefix}{name}": row[name] for name in names if row[name] is not None}
    return numbers


def read_scores(store: Store) -> pl.DataFrame:
    """Return the scored forecasts; see `assets.monitoring.scoring.score`. There are none before the first label is known."""
    table = store.table(NAME)
    return pl.DataFrame(schema={**SCHEMA, **SCORES}) if table.state() is None else table.read()
