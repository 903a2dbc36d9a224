"""Whether the intervals of the curves miss their level by more than chance, and what weights of residuals do when time passes.

    python -m tests.benchmarks.curve_coverage [--partitions 200]

The settings name a store with a curve model, which is only read.

Coverage differs from its level by chance for two reasons: there are few test items, and few calibration items. Both are
measured at once: if a test item's error is like a calibration item's, the two groups can be exchanged. So the calibration and
test items are shuffled and divided anew `--partitions` times, the intervals are made again from the new calibration items, and
their coverage is counted on the new test items. The share of cells (an age and a horizon) within 3 points of 80 %, and of
deciles within 7 points, is shown for the real division beside the mean and the 95 % range of the shuffled ones.

With `protocol.split = "chronological"`, three ways to weigh residuals are compared on the validation items, which are forecast
in the order of their publication from the items before them: equal weights; weights that halve with every quarter of the items,
which is what the curve model does; and adaptive conformal inference (Gibbs and Candès 2021), which moves the levels after each
item. The same on the test items, from the items before the first of them, is shown but decides nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from assets.curves.curve_model import HALF_LIFE
from assets.curves.forecast import CurveForecaster
from assets.prediction.predictor_inputs import samples_of
from models.curves import LEVELS
from models.curves.curve_model import sources_of
from models.curves.residual_quantiles import residual_quantiles
from models.curves.scores import coverage, coverage_by_decile, crps
from models.curves.target_curve import CANDIDATES, NONE
from pipeline.settings import load
from storage.store import Store

CELL, DECILE = 0.03, 0.07  # allowed distance from 80 %
STEP = 0.02  # of adaptive conformal inference, per item


@dataclass(frozen=True)
class Cell:
    """Forecasts of one target at one age and horizon: calibration items first, then test items; one window per item.

    Attributes:
        name: Target, age and horizon.
        items: (n,) ids.
        is_test: (n,) bool.
        forecast: (n,) forecast of log2(1 + growth).
        scale: (n,) what the residual is divided by.
        growth: (n,) observed log2(1 + growth).
        counted: (n,) count at the end of the window.
        count: (n,) observed count.
    """

    name: str
    items: np.ndarray
    is_test: np.ndarray
    forecast: np.ndarray
    scale: np.ndarray
    growth: np.ndarray
    counted: np.ndarray
    count: np.ndarray

    def quantiles(self, calibrating: np.ndarray, weights: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return quantiles of the count of some rows, (k, Q), from the residuals of others with their weights."""
        residuals = ((self.growth - self.forecast) / self.scale)[calibrating]
        around = residual_quantiles(
            residuals, self.forecast[calibrating], weights, at=self.forecast[rows], levels=LEVELS
        )
        growth = self.forecast[rows, None] + self.scale[rows, None] * around
        return self.counted[rows, None] + np.exp2(np.maximum(growth, 0.0)) - 1.0

    def covered(self, quantiles: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the share of each count's cell that the 80 % interval covers."""
        return coverage(quantiles[:, 1], quantiles[:, -2], self.count[rows])

    def loss(self, quantiles: np.ndarray, rows: np.ndarray) -> float:
        """Return the mean CRPS."""
        return float(crps(np.log2(1.0 + quantiles), LEVELS, np.log2(1.5 + self.count[rows])).mean())


def cells(store: Store, forecaster: CurveForecaster) -> Iterator[Cell]:
    """Yield the cells of the model in service."""
    source, settings = forecaster.source, forecaster.source.rows.settings
    model, grid, horizons = forecaster.model, forecaster.source.grid, forecaster.source.horizons
    parts = [samples_of(store, settings, split, age="all") for split in ("train", "val")]
    calibration = np.concatenate([part.items for part in parts])
    counted = np.concatenate([np.nan_to_num(part.counted) for part in parts])
    counts = source.counts(calibration.tolist()).count
    for age in source.rows.ages:
        samples = samples_of(store, settings, "test", age="own" if age is None else age)
        if not len(samples):
            continue
        inputs, observed = source.inputs(samples), source.counts(samples.items.tolist()).count
        place = grid.index(age)
        for target, (regression, curve) in enumerate(zip(model.regressions, model.curves, strict=True)):
            own = sources_of(regression, inputs, target, len(horizons))
            for horizon in np.flatnonzero(curve.chosen[place] != NONE):
                candidate = CANDIDATES[curve.chosen[place, horizon]]
                near = _nearest(calibration, curve.weights[:, place], ~np.isnan(curve.growth[:, horizon]))
                tested = np.flatnonzero((horizons[horizon] > inputs.age) & ~np.isnan(observed[:, target, horizon]))
                if len(tested) < 10:
                    continue
                pairs = [
                    np.concatenate(both)
                    for both in zip(
                        curve.sources.take(near).combined(candidate, horizon),
                        own.take(tested).combined(candidate, horizon),
                        strict=True,
                    )
                ]
                floor = inputs.floor[tested, target]
                growth = np.log2(np.maximum(observed[tested, target, horizon] + 0.5 - floor, 0.0) + 1.0)
                name = f"{source.rows.targets[target].name}, {age} h to {horizons[horizon]:g} h"
                yield Cell(
                    name,
                    np.concatenate([calibration[near], samples.items[tested]]),
                    np.repeat([False, True], [len(near), len(tested)]),
                    *pairs,
                    np.concatenate([curve.growth[near, horizon], growth]),
                    np.concatenate([counted[near, target], floor]),
                    np.concatenate([counts[near, target, horizon], observed[tested, target, horizon]]),
                )


def _nearest(items: np.ndarray, weights: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the window of each item whose age is nearest, among those that count."""
    best = pl.DataFrame({"item": items, "row": np.arange(len(items)), "weight": weights}).filter(
        pl.Series(known & (weights > 0))
    )
    return best.sort("weight", descending=True).unique("item", keep="first")["row"].sort().to_numpy()


def shares(found: list[Cell], is_test: dict[str, bool] | None) -> tuple[float, float, float, float]:
    """Return the mean coverage, the shares of cells and of deciles near 80 %, and the highest decile's mean coverage.

    Args:
        found: The cells.
        is_test: Item -> whether it is tested; None for the real division.
    """
    means, deciles = [], []
    for cell in found:
        tested = cell.is_test if is_test is None else np.array([is_test[item] for item in cell.items.tolist()])
        rows, calibrating = np.flatnonzero(tested), np.flatnonzero(~tested)
        quantiles = np.sort(cell.quantiles(calibrating, np.ones(len(calibrating)), rows), axis=1)
        means.append(cell.covered(quantiles, rows).mean())
        deciles.append(coverage_by_decile(quantiles, LEVELS, cell.count[rows]))
    off, off_by_decile = np.abs(np.array(means) - 0.8), np.abs(np.array(deciles) - 0.8)
    return np.mean(means), (off <= CELL).mean(), (off_by_decile <= DECILE).mean(), np.mean(deciles, axis=0)[-1]


def show_chance(found: list[Cell], partitions: int) -> None:
    """Print the shares of the real division, and of shuffled ones."""
    random = np.random.default_rng(0)
    items = {item: bool(test) for cell in found for item, test in zip(cell.items.tolist(), cell.is_test)}
    sides = np.array(list(items.values()))
    real, shuffled = shares(found, None), []
    for _ in range(partitions):
        shuffled.append(shares(found, dict(zip(items, random.permutation(sides).tolist()))))
    names = ["mean coverage", f"cells within {CELL:.0%}", f"deciles within {DECILE:.0%}", "highest decile"]
    print(f"{len(found)} cells, {(~sides).sum()} calibration items, {sides.sum()} test items")
    for name, value, chance in zip(names, real, np.array(shuffled).T, strict=True):
        low, high = np.quantile(chance, [0.025, 0.975])
        print(f"{name}: {value:.1%}; by chance {chance.mean():.1%} ({low:.1%} to {high:.1%})")


def show_drift(found: list[Cell], published: dict[str, float], validation: set[str]) -> None:
    """Print coverage and CRPS of three ways to weigh residuals, on validation and on test items in order of publication."""
    totals: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for cell in found:
        order = np.argsort([published[item] for item in cell.items.tolist()], kind="stable")
        is_validation = np.array([item in validation for item in cell.items.tolist()])
        for side, chosen in (("validation", is_validation), ("test", cell.is_test)):
            rows = order[chosen[order]]
            if len(rows) < 20:
                continue
            start = published[cell.items[rows[0]]]
            before = np.array([row for row in order if published[cell.items[row]] < start and not cell.is_test[row]])
            if len(before) < 50:
                continue
            recent = 0.5 ** ((1.0 - np.arange(1, len(before) + 1) / len(before)) / HALF_LIFE)
            for way, weights in (("equal weights", np.ones(len(before))), ("recent first", recent)):
                quantiles = np.sort(cell.quantiles(before, weights, rows), axis=1)
                result = (cell.covered(quantiles, rows).mean(), cell.loss(quantiles, rows))
                totals.setdefault((side, way), []).append(result)
            totals.setdefault((side, "adaptive levels"), []).append(_adaptive(cell, before, rows))
    for (side, way), results in totals.items():
        covered, losses = np.array(results).T
        worst = np.sqrt(((covered - 0.8) ** 2).mean())
        print(f"{side}, {way}: coverage {covered.mean():.1%}, off by {worst:.1%} per cell, CRPS {losses.mean():.4f}")


def _adaptive(cell: Cell, before: np.ndarray, rows: np.ndarray) -> tuple[float, float]:
    """Return coverage and CRPS of adaptive conformal inference: all levels move with the error of the 80 % interval."""
    equal = cell.quantiles(before, np.ones(len(before)), rows)
    missed, covered, losses = 0.2, [], []
    for number, row in enumerate(rows):
        # the distribution is stretched around its median, so that the interval of level 1 - missed becomes the 80 % one
        level = np.clip(missed, 0.02, 0.98) / 2
        low, middle, high = np.interp([level, 0.5, 1 - level], LEVELS, equal[number])
        old_low, old_high = equal[number, 1], equal[number, -2]
        stretch = np.where(
            equal[number] < middle,
            (middle - low) / max(middle - old_low, 1e-9),
            (high - middle) / max(old_high - middle, 1e-9),
        )
        quantiles = np.maximum(middle + stretch * (equal[number] - middle), 0.0)[None]
        hit = cell.covered(quantiles, np.array([row]))[0]
        covered.append(hit)
        losses.append(cell.loss(quantiles, np.array([row])))
        missed += STEP * (0.2 - (1.0 - hit))
    return float(np.mean(covered)), float(np.mean(losses))


def main() -> None:
    """Print both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--partitions", type=int, default=200)
    args = parser.parse_args()
    settings = load()
    store = Store(settings.store_folder())
    forecaster = CurveForecaster(store, settings)
    found = list(cells(store, forecaster))
    if settings.protocol.split != "chronological":
        show_chance(found, args.partitions)
        return
    published = dict(forecaster.source.rows.popularity.select("item", "t0").iter_rows())
    validation = set(samples_of(store, settings, "val").items.tolist())
    show_drift(found, published, validation)


if __name__ == "__main__":
    main()
