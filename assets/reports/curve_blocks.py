"""The forecast curves in the leaderboard: scores of every row at the targets' horizons."""

from __future__ import annotations

import math

import polars as pl

from assets.reports.document import Block, Grid, Heading, Paragraph
from assets.settings.target import parse_target
from models.curves.scores import INTERVALS

COVERAGES = {f"coverage_{name}": f"{name} %" for name in INTERVALS}
SHOWN = {"crps": "CRPS", "pinball": "pinball", **COVERAGES, "width_80": "width"}


def curve_blocks(scores: pl.DataFrame) -> list[Block]:
    """Return a table per arm and target: the label's horizon with whole windows, the lowest CRPS first; none without scores.

    Args:
        scores: `arm`, and the columns of the table `curve_scores`.
    """
    hours = [parse_target(name).hours for name in scores["target_name"]]
    labels = pl.Series([math.inf if label is None else label for label in hours], dtype=pl.Float64)
    own = scores.filter(pl.col("age_hours").is_null(), pl.col("horizon_hours") == labels)
    if own.is_empty():
        return []
    blocks: list[Block] = [
        Heading("Forecast curves"),
        Paragraph(
            "Quantiles of the count at the label's horizon, whole windows. CRPS, pinball loss and the width of the 80 % "
            "interval are on log2(1 + count); coverage of the 50, 80 and 90 % intervals in %."
        ),
    ]
    for (arm, target), rows in own.group_by("arm", "target_name", maintain_order=True):
        cells = [
            [
                row["row"],
                *(f"{100 * row[name]:.1f}" if name in COVERAGES else f"{row[name]:.3f}" for name in SHOWN),
            ]
            for row in rows.sort("crps").iter_rows(named=True)
        ]
        blocks += [
            Heading(f"{arm}: {target}, {rows['items'].max()} test items", 3),
            Grid(["row", *SHOWN.values()], cells),
        ]
    return blocks
