"""Forecasts of single videos that a person wanted to keep."""

from __future__ import annotations

import time

import polars as pl

from assets.settings import Settings
from pipeline.predicting.video_forecast import VideoForecast
from storage.store import Store

NAME = "video_forecasts"


def keep_forecast(settings: Settings, forecast: VideoForecast) -> None:
    """Append a forecast to the log `video_forecasts`, one row per target."""
    shared = {
        "item": forecast.item,
        "made_at": int(time.time() * 1000),
        "at": forecast.at,
        "published": forecast.published,
        "observed_events": forecast.observed_events,
        "bank_version": forecast.bank_version,
    }
    rows = [
        {
            **shared,
            "target_name": one.target,
            "model": one.row,
            "predicted": one.value,
            "predicted_count": one.count,
            "lowest_count": one.lowest,
            "highest_count": one.highest,
            "counted_so_far": one.counted_so_far,
        }
        for one in forecast.forecasts
    ]
    types = {"published": pl.Int64, "counted_so_far": pl.Int64}
    Store(settings.store_folder()).append(NAME, pl.DataFrame(rows, schema_overrides=types))
