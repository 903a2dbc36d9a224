"""The log of forecasts: one row per forecast, with what was known and what was in service when it was made."""

from __future__ import annotations

import json
from datetime import datetime

import polars as pl

from assets.prediction.provenance import Provenance, hours_since
from storage.durable import exclusive, make_folder
from storage.hashing import row_hashes
from storage.store import Store

NAME = "forecast_log"
SCHEMA = pl.Schema(
    {
        "forecast": pl.String,
        "made_at": pl.Datetime("us", "UTC"),
        "source": pl.String,
        "item": pl.String,
        "target_name": pl.String,
        "age_hours": pl.Float64,
        "window_complete": pl.Boolean,
        "in_training": pl.Boolean,
        "data_end": pl.Int64,
        "counted": pl.Float64,
        "predicted": pl.Float64,
        "predicted_count": pl.Float64,
        "levels": pl.List(pl.Float64),
        "quantiles": pl.List(pl.Float64),
        "model": pl.String,
        "bank_version": pl.Int64,
        "process_version": pl.Int64,
        "model_versions": pl.String,
        "protocol": pl.String,
        "scale": pl.String,
        "code": pl.Int64,
    }
)
# Columns that do not tell two forecasts apart.
NOT_THE_FORECAST = ("forecast", "made_at")
QUANTILES = ("levels", "quantiles")


def log_rows(forecasts: pl.DataFrame, made_by: Provenance, *, source: str, made_at: datetime) -> pl.DataFrame:
    """Return forecasts as rows of the log.

    Args:
        forecasts: `item`, `target_name`, `t0` (unix ms), `window_complete`, `counted`, `predicted` (on the scale),
            `predicted_count` and `model`. Optionally `in_training`, whether the item was in training when the forecast was made
            (default: False), and `levels` with `quantiles` (counts, one per level).
        made_by: What made them.
        source: Who made them, such as the name of a stage.
        made_at: When they were made.

    Returns:
        Rows of `SCHEMA`:

        - `forecast`: hash of all that tells two forecasts apart; the moment `made_at` does not.
        - `age_hours`: age of the item at the end of the data that the forecast saw, `data_end` (unix ms).
        - `counted`: what was counted of the target by then, also after the window.
        - `protocol`: what the forecast and its label must have in common (`assets.prediction.provenance.protocol_marks`).
        - `code`: version of the code of `source`.
        - `model_versions`: artifact -> version of every model, as JSON.
    """
    given = forecasts.columns
    optional = {"in_training": pl.lit(False), **{name: pl.lit(None, SCHEMA[name]) for name in QUANTILES}}
    protocol = pl.col("target_name").replace_strict(made_by.protocols, default=None, return_dtype=pl.String)
    frame = forecasts.with_columns(column.alias(name) for name, column in optional.items() if name not in given)
    frame = frame.with_columns(
        hours_since(made_by.data_end, pl.col("t0")).alias("age_hours"),
        pl.lit(made_at).alias("made_at"),
        pl.lit(source).alias("source"),
        pl.lit(made_by.data_end, pl.Int64).alias("data_end"),
        pl.lit(made_by.bank, pl.Int64).alias("bank_version"),
        pl.lit(made_by.process, pl.Int64).alias("process_version"),
        pl.lit(json.dumps(made_by.models, sort_keys=True)).alias("model_versions"),
        protocol.alias("protocol"),
        pl.lit(made_by.scale).alias("scale"),
        pl.lit(made_by.code, pl.Int64).alias("code"),
        pl.lit("").alias("forecast"),
    )
    frame = frame.select(SCHEMA.names()).cast(SCHEMA)
    identity = frame.drop(NOT_THE_FORECAST).with_columns(
        pl.col(name).list.eval(pl.element().cast(pl.String)).list.join(" ") for name in QUANTILES
    )
    return frame.with_columns(pl.Series("forecast", row_hashes(identity), dtype=pl.String))


def append_new(store: Store, rows: pl.DataFrame) -> int:
    """Append the rows to the log whose forecast it does not hold yet, in one step, and return their number.

    A row is in the log completely or not at all, also if the process is killed. Two processes at a time wait for each other.

    Args:
        store: The store.
        rows: Rows of `SCHEMA`, the oldest first; the first of equal forecasts is kept.
    """
    log = store.log(NAME)
    make_folder(log.folder)
    with exclusive(log.folder / "appending.lock", doing="logging forecasts", wait=True):
        new = not_logged(store, rows)
        log.append(new)
    return len(new)


def not_logged(store: Store, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows whose forecast is not in the log; the first of equal forecasts."""
    fresh = rows.unique("forecast", keep="first", maintain_order=True)
    return fresh.join(read_log(store), on="forecast", how="anti", maintain_order="left")


def read_log(store: Store) -> pl.DataFrame:
    """Return every logged forecast in the order in which they were logged; see `log_rows`."""
    return pl.concat([SCHEMA.to_frame(), store.log(NAME).read()], how="diagonal")
