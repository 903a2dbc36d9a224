"""Whether the archetype that the demonstration set planted shows in the median curve of a test video.

    python -m tests.benchmarks.curve_archetypes --truth FOLDER/truth/videos.csv

The settings name a finished store of the demonstration set, which is only read. A course is the share of its last count that
is reached by each horizon, up to seven days. Each archetype has the mean course of its training videos, and a course belongs to
the archetype whose mean is nearest. Test videos with fewer than five counts in seven days have no course and are left out.
Columns: the share of videos whose forecast course belongs to the archetype of the true course; the share that belongs to the
planted archetype; the same of the true course, which bounds it; and the share of the most frequent archetype.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import polars as pl

from assets.curves.curve_evaluation import ITEMS
from assets.curves.forecast import CurveForecaster
from assets.protocol.splits import items_of, read_splits
from pipeline.settings import load
from storage.store import Store

LAST, FEWEST = 168.0, 5  # hours, counts


def courses(counts: np.ndarray) -> np.ndarray:
    """Return the share of the last count at each horizon, (n, H)."""
    return counts / np.maximum(counts[:, -1:], 1e-9)


def nearest(shapes: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Return the number of the nearest mean course, (n,)."""
    return ((shapes[:, None] - means) ** 2).sum(-1).argmin(1)


def main() -> None:
    """Print one line per age."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--truth", type=Path, required=True)
    args = parser.parse_args()
    settings = load()
    store = Store(settings.store_folder())
    planted = dict(
        pl.read_csv(args.truth, schema_overrides={"item": pl.String}).select("item", "archetype").iter_rows()
    )
    names = sorted(set(planted.values()))
    source = CurveForecaster(store, settings).source
    within = source.horizons <= LAST
    training = items_of(read_splits(store), "train")
    counts = source.counts(training).count[:, 0, within]
    kept = ~np.isnan(counts).any(1) & (counts[:, -1] >= FEWEST)
    kind = np.array([names.index(planted[item]) for item in training])
    shapes = courses(counts[kept])
    means = np.stack([shapes[kind[kept] == number].mean(0) for number in range(len(names))])
    target = source.rows.targets[0].name
    table = store.table(ITEMS).read().filter(pl.col("horizon_hours") <= LAST, target_name=target).drop_nulls("observed")
    for (age,), own in table.group_by("age_hours", maintain_order=True):
        sides = {
            name: own.pivot("horizon_hours", index="item", values=name).drop_nulls().sort("item")
            for name in ("q50", "observed")
        }
        items = sides["q50"]["item"].to_list()
        median, true = (side.drop("item").to_numpy() for side in sides.values())
        order = np.argsort([float(name) for name in sides["q50"].columns[1:]])
        median, true = median[:, order], true[:, order]
        shaped = true[:, -1] >= FEWEST
        forecast, reached = (nearest(courses(side[shaped]), means) for side in (median, true))
        actual = np.array([names.index(planted[item]) for item in items])[shaped]
        shares = [np.mean(forecast == reached), np.mean(forecast == actual), np.mean(reached == actual)]
        shares.append(np.bincount(actual).max() / len(actual))
        when = "whole window" if age is None else f"{age:g} h"
        print(f"| {when} | {len(actual)} | " + " | ".join(f"{share:.0%}" for share in shares) + " |")


if __name__ == "__main__":
    main()
