"""Forecasts of the validation items, and the stack's weights that they give."""

from __future__ import annotations

import dagster as dg
import polars as pl

from assets.engine.run_log import made_table
from assets.prediction.forecast_rows import ForecastRows, made_from
from assets.prediction.item_forecasts import item_forecasts
from assets.prediction.kept_forecasts import KeptForecasts
from assets.prediction.predictor_inputs import samples_by_age
from assets.prediction.stacking import SCHEMA, WEIGHTS, fit_stacks
from assets.settings import Settings
from models.predictor_table import STACK
from storage.fingerprint import Fingerprint
from storage.store import Store

NAME = "validation_items"
CODE = 3  # raise it when the same inputs give another result


def keep_validation(context: dg.AssetExecutionContext, store: Store, settings: Settings) -> None:
    """Store the tables `validation_items` and `stack_weights`, unless they are current."""
    fingerprint = Fingerprint(
        code=CODE,
        parameters={"target": settings.protocol.target, "ages": settings.protocol.ages, "train": settings.model.train},
    )
    inputs_hash = made_from(store, settings, "train", "val")
    items = made_table(
        context,
        store,
        NAME,
        inputs_hash=inputs_hash,
        fingerprint=fingerprint,
        compute=lambda: _validate(store, settings),
    )
    made_table(
        context,
        store,
        WEIGHTS,
        inputs_hash=inputs_hash,
        fingerprint=fingerprint,
        compute=lambda: _weights(items, settings),
    )


def _validate(store: Store, settings: Settings) -> pl.DataFrame:
    """Return every row's forecasts of the validation items at every age; the stack's are cross-validated."""
    rows, kept, frames = ForecastRows(store, settings), KeptForecasts(store, NAME), []
    for age, dev in samples_by_age(store, settings, "val", rows.ages).each():
        frame = item_forecasts(store, settings, dev, rows.forecasts(dev, kept=kept), age=age)
        frames.append(frame.drop("count", "predicted_count"))
    kept.keep()
    items = pl.concat(frames)
    if STACK in settings.model.train:
        items = pl.concat([items, fit_stacks(items, seeds=settings.model.seeds)[1].select(items.columns)])
    return items


def _weights(items: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    if STACK not in settings.model.train:
        return pl.DataFrame(schema=SCHEMA)
    return fit_stacks(items.filter(pl.col("predictor") != STACK), seeds=settings.model.seeds)[0]


def read_validation(store: Store) -> pl.DataFrame:
    """Return every row's forecast of every validation item; see `assets.prediction.item_forecasts`."""
    return store.table(NAME).read()
