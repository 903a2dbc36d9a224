"""Appendix M.2 of M3TR from a run: the course of a test video of each archetype, and two forecasts of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import torch

from assets.curves.forecast import CurveForecaster
from assets.engine.nothing_to_show import NothingToShow
from assets.feedback.hawkes_process import fitted_process, fitted_windows, item_seeds
from assets.ingest.interactions import read_events
from assets.prediction.predictor_inputs import WindowFeedback, samples_of
from assets.protocol.observation import HOUR_MS
from assets.protocol.popularity import read_popularity
from assets.protocol.splits import read_splits
from assets.protocol.target import MeasuredTarget
from assets.settings import Settings
from models.course_picture import BAND, Course, draw_courses
from models.hawkes import ExponentialHawkes, fit
from models.predictors import Feedback
from models.simulated_counts import simulate_counts
from storage.store import Store

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEVELS = (BAND[0], 0.5, BAND[1])
CONTINUATIONS = 100


def course_figure(store: Store, settings: Settings, archetypes: Path) -> Figure:
    """Draw the figure for the first target.

    A video is the test video with the median number of events of its archetype. The baseline is a classical Hawkes process
    that was fitted to the same windows as the process in service, and is continued from the end of the window.

    Args:
        store: A store with a curve model.
        settings: The settings.
        archetypes: CSV file with the columns `item`, `archetype` and `events`; the demonstration set has one.

    Raises:
        storage.durable.StoreError: No curve model is in service.
        NothingToShow: There is no such file, or the first target does not count one type of event after the window.
    """
    if not archetypes.is_file():
        raise NothingToShow(f"archetypes are known of the demonstration set alone ({archetypes} does not exist)")
    forecaster = CurveForecaster(store, settings)
    target, types = forecaster.source.rows.targets[0], fitted_process(store)[1]["types"]
    if target.source != "events" or target.metric not in types or target.hours is None:
        raise NothingToShow(f"the target {target.name} does not count one type of event to a horizon")
    samples = samples_of(store, settings, "test")
    truth = pl.read_csv(archetypes, schema_overrides={"item": pl.String}).filter(
        pl.col("item").is_in(samples.items.tolist())
    )
    shown = {
        archetype: own.sort("events", "item")["item"][len(own) // 2]
        for (archetype,), own in truth.sort("archetype").group_by("archetype", maintain_order=True)
    }
    place = {item: row for row, item in enumerate(samples.items.tolist())}
    rows = np.array([place[item] for item in shown.values()])
    windows = WindowFeedback([samples.feedback.windows[row] for row in rows])
    samples = replace(samples.take(rows), feedback=windows)
    curves, feedback = forecaster.curves(samples), windows.take(torch.arange(len(rows)))
    age = feedback.completed.age.numpy()
    later = np.isfinite(curves.horizons) & (curves.horizons > age.max()) & (curves.horizons <= target.hours)
    if not later.any():
        raise NothingToShow(f"no horizon of the curves lies between the window and that of {target.name}")
    horizons = curves.horizons[later]
    quantiles = np.stack([curves.quantile(level)[:, 0][:, later] for level in LEVELS], 1)  # (videos, 3, H)
    counted = forecaster.source.rows.counts(list(shown.values()), None)[:, 0]
    baseline = (
        _baseline(store, settings, feedback, list(shown.values()), target, types, horizons) + counted[:, None, None]
    )
    events = read_events(store).join(read_popularity(store).select("item", "t0"), on="item")
    courses = []
    for number, (archetype, item) in enumerate(shown.items()):
        own = events.filter(pl.col("item") == item).with_columns(hours=(pl.col("time") - pl.col("t0")) / HOUR_MS)
        by_type = {name: own.filter(pl.col("type") == name)["hours"].to_numpy() for name in types}
        start = np.full((3, 1), counted[number])
        courses.append(
            Course(
                title=f"{archetype} (video {item})",
                hours=by_type[target.metric],
                types=by_type,
                seen=float(age[number]),
                horizons=np.concatenate([age[[number]], horizons]),
                forecast=np.concatenate([start, quantiles[number]], 1),
                baseline=np.concatenate([start, baseline[number]], 1),
            )
        )
    return draw_courses(courses, counted=f"{target.metric}s", forecast="curve", baseline="classical Hawkes process")


def _baseline(
    store: Store,
    settings: Settings,
    feedback: Feedback,
    items: Sequence[str],
    target: MeasuredTarget,
    types: list[str],
    horizons: np.ndarray,
) -> np.ndarray:
    """Return quantiles (videos, 3, H) of the new events of simulated continuations of a classical Hawkes process."""
    train, dev, *_ = fitted_windows(store, settings, read_splits(store))
    process = ExponentialHawkes(len(types))
    fit(process, train.batch(), dev.batch())
    found = simulate_counts(
        process,
        feedback.observed,
        torch.from_numpy(horizons),
        counted=torch.tensor([[name == target.metric for name in types]]),
        continuations=CONTINUATIONS,
        seeds=item_seeds(items, settings.process.seed),
        counted_from=feedback.completed.age,
    )
    return np.moveaxis(np.quantile(found.counts[..., 0], LEVELS, axis=1), 0, 1)
