"""From the tables of a forecast to what a person reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from assets.prediction.new_video import NewVideo
from assets.prediction.new_video_forecasts import NewForecasts, NewVideoForecaster
from assets.protocol.observation import HOUR_MS
from models import targets
from models.curves import Curves
from models.reasons.reasons import Reasons
from models.reasons.sentence import sentence
from pipeline.predicting.video_forecast import CurvePoint, SimilarVideo, TargetForecast, VideoForecast


def described(
    video: NewVideo,
    forecasts: NewForecasts,
    service: NewVideoForecaster,
    *,
    curves: Curves | None,
    reasons: Reasons | None,
    notes: Sequence[str],
    seconds: Mapping[str, float],
) -> VideoForecast:
    """Return the forecast of one video.

    Args:
        video: The video.
        forecasts: The forecasts of it alone.
        service: Where they come from.
        curves: Its curves, or None.
        reasons: Its reasons, or None.
        notes: Remarks on its feedback.
        seconds: Duration of the steps.
    """
    window = forecasts.windows.row(0, named=True)
    names = [target.name for target in service.files.targets]
    neighbours, scale = forecasts.neighbours, service.settings.protocol.target
    return VideoForecast(
        item=video.item,
        at=video.at,
        published=window["t0"],
        age_hours=None if window["t0"] is None else (video.at - window["t0"]) / HOUR_MS,
        observed_events=window["observed_events"],
        window_complete=window["window_complete"],
        retrieval=neighbours["mode"][0] if len(neighbours) else "none",
        bank_version=service.bank.version.version,
        forecasts=[
            TargetForecast(
                target=row["target_name"],
                count=row["predicted_count"],
                lowest=max(_count(row["predicted_low"], scale), row["counted_so_far"] or 0),
                highest=max(_count(row["predicted_high"], scale), row["counted_so_far"] or 0),
                value=row["predicted"],
                counted_so_far=row["counted_so_far"],
                row=row["model"],
                seeds=row["seeds"],
                curve=[] if curves is None else _points(curves, column),
                why=None if reasons is None else sentence(reasons, target=column),
            )
            for column, row in enumerate(forecasts.frame.iter_rows(named=True))
        ],
        neighbours=[
            SimilarVideo(
                item=row["neighbour"],
                title=row["title"],
                counts={name: _count(label, scale) for name, label in zip(names, row["labels"], strict=True)},
                score=row["score"],
                content=_known(row["ss_modal"]),
                feedback=_known(row["ss_temp"]),
            )
            for row in neighbours.iter_rows(named=True)
        ],
        notes=[*notes, *_remarks(video, forecasts)],
        seconds=seconds,
    )


def _points(curves: Curves, target: int) -> list[CurvePoint]:
    """Return the horizons at which a target has quantiles."""
    points = []
    for hours, counts in zip(curves.horizons.tolist(), curves.counts[0, target], strict=True):
        if not np.isnan(counts).any():
            named = {f"{level:g}": count for level, count in zip(curves.levels.tolist(), counts.tolist(), strict=True)}
            points.append(CurvePoint(None if np.isinf(hours) else hours, named))
    return points


def _count(value: float | None, scale: targets.Transform) -> float | None:
    return None if value is None else float(targets.inverse(np.array([value]), scale)[0])


def _known(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else float(value)


def _remarks(video: NewVideo, forecasts: NewForecasts) -> list[str]:
    remarks = []
    if video.decoded is None:
        remarks.append("no media file: content is its title alone")
    else:
        if video.decoded.audio is None:
            remarks.append("the file has no sound")
        for part in (video.decoded.frames, video.decoded.audio or {}):
            if part.get("damage"):
                remarks.append(f"damaged file, used in part: {part['damage']}")
    if forecasts.windows["t0_source"][0] == "first event" and video.published_at is None:
        remarks.append("the publication is not given: the first event counts as the moment of publication")
    return remarks
