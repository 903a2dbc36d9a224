"""Scenarios: test videos whose feedback takes another course within the window, and how far each forecast moves.

M3TR's appendices A and M.2 name the courses. Three of them only move a video's own events, so a forecast that moves has read
the times and not the count. Nothing is trained again, and labels stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from assets.ingest.interactions import NAME as EVENTS
from assets.ingest.interactions import read_events
from assets.memory.feature_join import usable_items
from assets.prediction.evaluation import ITEMS
from assets.protocol.observation import HOUR_MS
from assets.protocol.popularity import read_popularity
from assets.protocol.splits import items_of
from assets.reports.document import Block, Grid, Heading, Items, Paragraph
from assets.reports.report_files import keep_report
from assets.reports.study import Arm, arm_stores
from assets.settings import Settings
from storage.store import Store

STUDY = "scenarios"
LIKE = "like"
BURST_HOURS = 1 / 6  # fake likes arrive within ten minutes
FEWEST = 5  # fake likes of a video with less feedback
RESAMPLES = 1000


@dataclass(frozen=True)
class Scenario:
    """A course of the feedback within the window.

    Attributes:
        told: What happens, as a sentence.
        moved: (hours of the events in order, window in hours) -> hours of the same events.
        fake: Whether as many likes as there are events are added, in one burst in the middle of the window.
    """

    told: str
    moved: Callable[[np.ndarray, float], np.ndarray] = lambda hours, window: hours
    fake: bool = False


SCENARIOS = {
    "fake_likes": Scenario(
        "As many likes as the video has events, at least five, are added within ten minutes in the middle of the window.",
        fake=True,
    ),
    "early_surge": Scenario(
        "The same events lie in the first tenth of the window, and nothing follows.",
        lambda hours, window: _spread(hours, 0.0, 0.1 * window),
    ),
    "slow_burn": Scenario(
        "The same events lie evenly over the window.", lambda hours, window: _spread(hours, 0.0, window)
    ),
    "sleeper_hit": Scenario(
        "The same events lie in the last tenth of the window.",
        lambda hours, window: _spread(hours, 0.9 * window, window),
    ),
}


def _spread(hours: np.ndarray, begin: float, end: float) -> np.ndarray:
    return np.linspace(begin, end, len(hours) + 1)[1:]


def scenario_arm(name: str) -> Arm:
    """Return the arm of a scenario, a name of `SCENARIOS`."""
    return Arm(STUDY, name)


def plant(store: Store, scenario: Scenario) -> None:
    """Replace the feedback of the test items in a store.

    Args:
        store: The store of an arm, derived from one whose models are trained.
        scenario: The course.
    """
    table = store.table(EVENTS)
    test = items_of(usable_items(store), "test")
    windows = read_popularity(store).filter(pl.col("item").is_in(test)).select("item", "t0", "observed_until")
    changed = with_course(read_events(store), windows, scenario)
    state = table.state()
    table.write(changed, inputs_hash=f"{state.inputs_hash} {scenario.told}", fingerprint=state.fingerprint)


def with_course(events: pl.DataFrame, windows: pl.DataFrame, scenario: Scenario) -> pl.DataFrame:
    """Return events in which some items follow a scenario.

    Args:
        events: `item`, `user`, `type`, `time` (unix ms), `order`.
        windows: `item`, `t0`, `observed_until` (unix ms) of the items to change.
        scenario: The course.

    Returns:
        The columns of `events`; events after a window, and those of other items, are as they were.
    """
    timed = events.join(windows, on="item", how="left", maintain_order="left")
    inside = pl.col("observed_until").is_not_null() & (pl.col("time") <= pl.col("observed_until"))
    frames = [timed.filter(~inside.fill_null(False))]
    for _, own in timed.filter(inside).sort("item", "order").group_by("item", maintain_order=True):
        begin, end = own["t0"][0], own["observed_until"][0]
        window = (end - begin) / HOUR_MS
        hours = scenario.moved((own["time"].to_numpy() - begin) / HOUR_MS, window)
        frames.append(own.with_columns(time=pl.Series(_times(hours, begin, end))))
        if scenario.fake:
            burst = np.linspace(0.5 * window, min(0.5 * window + BURST_HOURS, window), max(len(own), FEWEST))
            likes = {"item": own["item"][0], "type": LIKE, "time": _times(burst, begin, end)}
            frames.append(pl.DataFrame(likes))
    changed = pl.concat(frames, how="diagonal_relaxed").select(events.columns).sort("item", "time", maintain_order=True)
    return changed.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).over("item").alias("order"))


def _times(hours: np.ndarray, begin: int, end: int) -> np.ndarray:
    return np.minimum(begin + np.round(hours * HOUR_MS).astype(np.int64), end)


def report_scenarios(settings: Settings, own: Store) -> None:
    """Write the report `scenarios` from the stores of the arms, as a table of the store, as Markdown and as HTML.

    Args:
        settings: Settings of the data set's own store.
        own: That store, with the forecasts of the feedback as it was.
    """
    arms = arm_stores(settings, STUDY, table=ITEMS)
    before = _whole(own)
    table = pl.concat(shifts(name, before, _whole(store)) for name, store in arms.items() if name in SCENARIOS)
    blocks: list[Block] = [
        Heading("Scenarios", 1),
        Paragraph(
            "The feedback of every test video takes another course within its window. The figures are the mean change of a "
            "forecast on the scale of the label, with 95 % of resampled test sets in brackets, and the mean size of a change "
            "whatever its sign. Nothing is trained again."
        ),
        Items([f"{name.replace('_', ' ')}: {SCENARIOS[name].told}" for name in SCENARIOS if name in arms]),
    ]
    for (target,), part in table.group_by("target_name", maintain_order=True):
        blocks += [Heading(target), _grid(part)]
    keep_report(settings, STUDY, table, blocks)


def _whole(store: Store) -> pl.DataFrame:
    items = store.table(ITEMS).read().filter(pl.col("age_hours").is_null())
    keys = ("predictor", "target_name", "item")
    return items.group_by(keys, maintain_order=True).agg(pl.col("predicted").mean())


def shifts(scenario: str, before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Return how far the forecasts of each row moved.

    Args:
        scenario: Name of the scenario.
        before: `predictor`, `target_name`, `item`, `predicted` with the feedback as it was.
        after: The same in the scenario.

    Returns:
        `scenario`, `target_name`, `predictor`, `items`, `shift` (mean change) with `low` and `high` (95 % of resampled items),
        `size` (mean of the absolute changes).
    """
    keys = ["predictor", "target_name", "item"]
    both = before.join(after, on=keys, suffix="_after", maintain_order="left")
    rows = []
    for (name, target), own in both.group_by("predictor", "target_name", maintain_order=True):
        change = (own["predicted_after"] - own["predicted"]).to_numpy()
        drawn = np.random.default_rng(0).integers(0, len(change), size=(RESAMPLES, len(change)))
        low, high = np.quantile(change[drawn].mean(1), [0.025, 0.975])
        rows.append([scenario, target, name, len(change), change.mean(), low, high, np.abs(change).mean()])
    columns = ["scenario", "target_name", "predictor", "items", "shift", "low", "high", "size"]
    return pl.DataFrame(rows, schema=columns, orient="row")


def _grid(rows: pl.DataFrame) -> Grid:
    names = rows["scenario"].unique(maintain_order=True).to_list()
    columns = ["row", *(title for name in names for title in (name.replace("_", " "), "size"))]
    return Grid(columns, list(_cells(rows, names)))


def _cells(rows: pl.DataFrame, names: list[str]) -> Iterator[list[str]]:
    for (predictor,), own in rows.group_by("predictor", maintain_order=True):
        by_name = {row["scenario"]: row for row in own.iter_rows(named=True)}
        cells = [predictor]
        for name in names:
            row = by_name[name]
            cells += [f"{row['shift']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]", f"{row['size']:.3f}"]
        yield cells
