"""Forecasts of single videos that a person wanted to keep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import polars as pl

from assets.monitoring.logged_forecasts import log_rows
from assets.prediction.provenance import Provenance
from assets.settings import Settings
from assets.settings.target import horizon_name
from models import targets
from pipeline.predicting.video_forecast import TargetForecast, VideoForecast
from storage.store import Store

NAME = "video_forecast_log"
SOURCE = "predict"
CODE = 1  # raise it when the same forecast gives other rows


def keep_forecast(settings: Settings, forecast: VideoForecast) -> None:
    """Append a forecast to the log `video_forecast_log`: one row per target, and one per horizon of its curve that lies ahead.

    The columns are those of `forecast_log`. The log is another one because a video here has a name that a person gave it,
    which may be the id of another video of the data set; `forecast_scores` would join it with that video's label.
    """
    store = Store(settings.store_folder())
    made_by = replace(Provenance.of(store, settings, code=CODE), data_end=forecast.at)
    rows = [row for one in forecast.forecasts for row in _rows(forecast, one, made_by.scale)]
    types = {"t0": pl.Int64, "counted": pl.Float64, "levels": pl.List(pl.Float64), "quantiles": pl.List(pl.Float64)}
    frame = pl.DataFrame(rows, schema_overrides=types)
    store.log(NAME).append(log_rows(frame, made_by, source=SOURCE, made_at=datetime.now(UTC)))


def _rows(forecast: VideoForecast, one: TargetForecast, scale: targets.Transform) -> Iterator[dict[str, Any]]:
    """Yield a target's forecast, and the curve's as forecasts of the metric at each horizon."""
    shared = {
        "item": forecast.item,
        "t0": forecast.published,
        "window_complete": forecast.window_complete,
        "counted": one.counted_so_far,
    }
    yield {
        **shared,
        "target_name": one.target,
        "model": one.row,
        "predicted": one.value,
        "predicted_count": one.count,
        "levels": None,
        "quantiles": None,
    }
    metric = one.target.rpartition("@")[0]
    for point in one.curve:
        if point.hours is None or point.hours <= (forecast.age_hours or 0.0):
            continue
        count = max(float(int(point.quantiles["0.5"])), targets.smallest_count(scale))
        yield {
            **shared,
            "target_name": f"{metric}@{horizon_name(point.hours)}",
            "model": "curve",
            "predicted": float(targets.forward(count, scale)),
            "predicted_count": count,
            "levels": [float(level) for level in point.quantiles],
            "quantiles": list(point.quantiles.values()),
        }
