"""The leaderboard as a report: tables per protocol and target, a picture, findings, and the numbers that papers print."""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl

from assets.reports.document import Block, Grid, Heading, Items, Paragraph, Picture
from assets.reports.findings import findings
from assets.reports.interval_picture import Estimate, interval_picture
from assets.reports.published import numbers_of
from assets.reports.scores import SHOWN, STRATA

SIDES = [f"{side} {size}" for side in ("top", "bottom") for size in STRATA]


def score_blocks(table: pl.DataFrame, items: pl.DataFrame, obstacles: pl.DataFrame, *, file: str) -> list[Block]:
    """Return the tables and the picture of every arm and target.

    Args:
        table: The rows, from `assets.reports.scores.score_rows`, with the costs.
        items: The mean forecasts of strata, from `assets.reports.scores.strata`.
        obstacles: `arm`, `title`, `reason` of rows that could not be fitted.
        file: Name of a picture's file, without its number and ending.
    """
    blocks: list[Block] = []
    for number, ((arm, target), rows) in enumerate(table.group_by("arm", "target_name", maintain_order=True)):
        whole = rows.filter(pl.col("age_hours").is_null())
        title = f"nMSE of {target}, {arm}: mean over seeds, and 95 % of resampled test sets"
        blocks += [
            Heading(f"{arm}: {target}"),
            Paragraph(
                f"{whole['items'].max()} test items. nMSE, SRC (Spearman), PLCC (Pearson) and MAE are on the scale of the "
                "label, the two last columns on counts. ± is a 95 % interval over seeds; brackets hold 95 % of resampled test "
                "sets."
            ),
            metric_grid(whole),
            Picture(interval_picture(estimates(whole), axis="nMSE"), f"{file}_{number}.svg", title),
            *_by_age(rows),
            Heading("Behind the first row, and cost", 3),
            _cost_grid(whole),
            *_strata_blocks(
                items.filter(pl.col("arm") == arm, pl.col("target_name") == target), whole["predictor"].to_list()
            ),
            Heading("Findings", 3),
            Items([*findings(whole), *_left_out(obstacles.filter(pl.col("arm") == arm))]),
        ]
    return blocks


def metric_grid(rows: pl.DataFrame) -> Grid:
    """Return the metrics of some rows; the first of them by nMSE is bold."""
    columns = ["row", *(name.replace("_count", ", counts") for name in SHOWN)]
    cells = [[_label(row), *(_cell(row, metric) for metric in SHOWN)] for row in rows.iter_rows(named=True)]
    return Grid(columns, cells, bold=_first(rows))


def _by_age(rows: pl.DataFrame) -> list[Block]:
    ages = rows["age_hours"].unique().drop_nulls().sort().to_list()
    if not ages:
        return []
    order = rows.filter(pl.col("age_hours").is_null())
    cells = []
    for row in order.iter_rows(named=True):
        own = rows.filter(pl.col("predictor") == row["predictor"])
        by_age = {found["age_hours"]: found for found in own.iter_rows(named=True)}
        cells.append([_label(row), *(_cell(by_age[age], "nMSE") if age in by_age else "n/a" for age in [*ages, None])])
    titles = [*(f"{age:g} h" for age in ages), "whole window"]
    return [Heading("nMSE by age of the video", 3), Grid(["row", *titles], cells, bold=_first(order))]


def _cost_grid(rows: pl.DataFrame) -> Grid:
    cells = []
    for row in rows.iter_rows(named=True):
        behind = (
            "first" if row["first"] else _bracketed(row["behind"], row["behind_low"], row["behind_high"], signed=True)
        )
        cells.append(
            [
                _label(row),
                behind,
                _whole(row["parameters"]),
                "" if row["training_seconds"] is None else _figure(row["training_seconds"], 1),
                _whole(row["peak_memory_mb"]),
            ]
        )
    columns = ["row", "nMSE minus the first row's", "parameters", "training s per seed", "peak memory MiB"]
    return Grid(columns, cells, bold=_first(rows))


def _strata_blocks(means: pl.DataFrame, order: Sequence[str]) -> list[Block]:
    if means.is_empty():
        return []
    shown = [side for side in SIDES if side in means["stratum"]]
    truth = dict(means.select("stratum", "true_mean").unique(maintain_order=True).iter_rows())
    cells = [["true mean", *(_figure(truth[side], 1) for side in shown)]]
    for name in order:
        mean = dict(means.filter(pl.col("predictor") == name).select("stratum", "mean").iter_rows())
        cells.append([name, *(_figure(mean[side], 1) for side in shown)])
    return [
        Heading("Mean forecast of the highest and lowest counts", 3),
        Grid(["counts", *shown], cells, bold=frozenset({0})),
    ]


def published_blocks(titles: Sequence[str]) -> list[Block]:
    """Return the numbers that papers print for rows of these titles, each with why it cannot be compared."""
    printed = numbers_of(titles)
    if printed.is_empty():
        return []
    reasons = printed["reason"].unique(maintain_order=True).to_list()
    cells = [
        [
            row["predictor"],
            f"{row['paper']}, {row['table']}",
            row["dataset"],
            *("" if row[metric] is None else f"{row[metric]:g}" for metric in ("nMSE", "SRC", "PLCC", "MAE")),
            ("impossible, " if row["impossible"] else "not comparable, ") + str(reasons.index(row["reason"]) + 1),
        ]
        for row in printed.iter_rows(named=True)
    ]
    columns = ["row", "printed in", "data set", "nMSE", "SRC", "PLCC", "MAE", "mark"]
    return [
        Heading("Numbers that papers print"),
        Paragraph(
            "No printed number can be compared with a number above. The mark names the reason in the list below."
        ),
        Grid(columns, cells, texts=frozenset({1, 2, 7})),
        Items([f"({number}) {reason}." for number, reason in enumerate(reasons, start=1)]),
    ]


def _left_out(obstacles: pl.DataFrame) -> list[str]:
    return [f"{title} is left out: it {reason}." for title, reason in obstacles.select("title", "reason").iter_rows()]


def _first(rows: pl.DataFrame) -> frozenset[int]:
    return frozenset(number for number, first in enumerate(rows["first"]) if first)


def estimates(rows: pl.DataFrame) -> list[Estimate]:
    """Return the nMSE of some rows with its interval over resampled test sets."""
    return [
        Estimate(row["predictor"], row["nMSE"], row["nMSE_item_low"], row["nMSE_item_high"], row["first"])
        for row in rows.iter_rows(named=True)
    ]


def _label(row: dict[str, object]) -> str:
    return f"{row['predictor']} ({row['seeds']} seeds)" if row["seeds"] > 1 else str(row["predictor"])


def _cell(row: dict[str, object], metric: str) -> str:
    half = (row[f"{metric}_seed_high"] - row[f"{metric}_seed_low"]) / 2
    spread = f" ± {half:.3f}" if math.isfinite(half) else ""
    value, low, high = (row[f"{metric}{end}"] for end in ("", "_item_low", "_item_high"))
    return _figure(value, 3) + spread + (f" [{low:.3f}, {high:.3f}]" if math.isfinite(low) else "")


def _bracketed(value: float | None, low: float | None, high: float | None, *, signed: bool = False) -> str:
    if value is None or not math.isfinite(value):
        return "n/a"
    sign = "+" if signed else ""
    return f"{value:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


def _figure(value: float | None, digits: int) -> str:
    return "n/a" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def _whole(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"
