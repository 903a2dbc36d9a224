"""Forecasts of videos from Python (docs/predict.md).

The first use imports the pipeline, which takes some seconds; a `Forecaster` keeps everything loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import reelcast_packages

if TYPE_CHECKING:
    from pathlib import Path

    from assets.settings import Settings
    from pipeline.predicting.forecaster import Forecaster
    from pipeline.predicting.video_forecast import VideoForecast

__all__ = ["Forecaster", "predict"]

reelcast_packages.refuse_hidden("pipeline", "assets", "models", "storage")


def predict(video: str | Path | None = None, *, settings: Settings | None = None, **known: Any) -> VideoForecast:
    """Forecast one video with what is in service. For several videos, use one `Forecaster`.

    Args:
        video: Media file, or None.
        settings: The settings; by default those of `reelcast.toml` and the environment.
        known: `title`, `author`, `category`, `published`, `feedback`, `at`, `item`; see `Forecaster.predict`.
    """
    from pipeline.predicting.forecaster import Forecaster

    with Forecaster(settings) as forecaster:
        return forecaster.predict(video, **known)


def __getattr__(name: str) -> Any:
    """Import `Forecaster` when it is first used."""
    if name == "Forecaster":
        from pipeline.predicting.forecaster import Forecaster

        return Forecaster
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
