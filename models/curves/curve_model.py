"""The curve model: regressions, the simulated process and their calibration, for every target."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from models.curves.count_cells import places_of, spread
from models.curves.curve_inputs import CurveInputs
from models.curves.curves import LEVELS, Curves
from models.curves.growth_regression import GrowthRegression
from models.curves.target_curve import CANDIDATES, NONE, Sources, TargetCurve

ENOUGH = 50  # training items with a known count, below which a horizon gets no regression
DESCRIPTION, ARRAYS = "curve_model.json", "calibration_{}.npz"
FORMAT = 1


@dataclass(frozen=True)
class CurveModel:
    """Forecasts of curves for T targets at H horizons.

    Attributes:
        horizons: (H,) hours.
        regressions: Per target, its regression; None if no horizon has enough items.
        curves: Per target, its calibrated quantiles.
        followed: (T, H) number of training items with a known count after their window.
    """

    horizons: np.ndarray
    regressions: Sequence[GrowthRegression | None]
    curves: Sequence[TargetCurve]
    followed: np.ndarray

    @classmethod
    def fit(
        cls,
        train: CurveInputs,
        dev: CurveInputs,
        train_counts: np.ndarray,
        dev_counts: np.ndarray,
        *,
        horizons: np.ndarray,
        shares: np.ndarray,
        seed: int,
    ) -> CurveModel:
        """Fit the regressions to training items, and calibrate on training items out of fold and on validation items.

        Args:
            train: n windows of training items.
            dev: m windows of validation items.
            train_counts: (n, T, H) counts at every horizon; NaN where unknown.
            dev_counts: (m, T, H).
            horizons: (H,) hours.
            shares: (n,) weights of the training windows.
            seed: Seed of the folds and of the regressions.
        """
        items = np.concatenate([train.items, dev.items])
        places = places_of(items)
        growth = np.concatenate(
            [
                _growth(train, train_counts, places[: len(train)], horizons),
                _growth(dev, dev_counts, places[len(train) :], horizons),
            ]
        )
        weights = np.concatenate([train.weights, dev.weights])
        regressions, curves, followed = [], [], np.zeros(growth.shape[1:], np.int64)
        for target in range(growth.shape[1]):
            own = growth[:, target]
            for horizon in range(len(horizons)):
                followed[target, horizon] = len(np.unique(train.items[~np.isnan(own[: len(train), horizon])]))
            usable = followed[target] >= ENOUGH
            regression = None
            if usable.any():
                label = np.where(usable, own[: len(train)], np.nan)
                regression = GrowthRegression.fit(
                    train, label, target=target, hours=horizons, weights=shares, seed=seed
                )
            known = ~np.isnan(own)
            number = np.array(
                [[len(np.unique(items[known[:, h] & (age > 0)])) for h in range(len(horizons))] for age in weights.T]
            )
            parts = [sources_of(regression, inputs, target, len(horizons)) for inputs in (train, dev)]
            if regression is not None:
                # Training items are forecast by one model, new ones by the mean of all, whose error is smaller.
                ratio = regression.gain_of_mean(dev, own[len(train) :], target=target)
                missed = np.nan_to_num(own[: len(train)] - parts[0].regression)
                parts[0] = replace(parts[0], regression=parts[0].regression + (1.0 - ratio) * missed)
            curves.append(
                TargetCurve.fit(
                    Sources.concatenate(parts),
                    own,
                    weights,
                    items=items,
                    counted=np.concatenate([train.floor[:, target], dev.floor[:, target]]),
                    enough=usable & (number >= ENOUGH),
                )
            )
            regressions.append(regression)
        return cls(horizons, regressions, curves, followed)

    @property
    def sources(self) -> np.ndarray:
        """(T, H) str: the candidates that serve a horizon at the grid ages, or `process` where nothing is calibrated."""
        names = [
            [
                " | ".join(dict.fromkeys(str(CANDIDATES[number]) for number in column if number != NONE)) or "process"
                for column in curve.chosen.T
            ]
            for curve in self.curves
        ]
        return np.array(names)

    @property
    def calibrated(self) -> np.ndarray:
        """(T, H) bool, whether a horizon has calibrated quantiles at some age."""
        return np.stack([(curve.chosen != NONE).any(0) for curve in self.curves])

    def predict(self, inputs: CurveInputs) -> Curves:
        """Return the curves of n windows."""
        values = []
        for target, (regression, curve) in enumerate(zip(self.regressions, self.curves, strict=True)):
            sources = sources_of(regression, inputs, target, len(self.horizons))
            values.append(curve.quantiles(sources, inputs.weights))
        return curves_of(self.horizons, np.stack(values, axis=1), inputs)

    def save(self, folder: Path) -> None:
        """Write the model into a folder."""
        described = {
            "format": FORMAT,
            "horizons": [None if np.isinf(hours) else hours for hours in self.horizons.tolist()],
            "followed": self.followed.tolist(),
            "folds": [None if regression is None else regression.fold for regression in self.regressions],
        }
        (folder / DESCRIPTION).write_text(json.dumps(described), encoding="utf-8")
        for number, (regression, curve) in enumerate(zip(self.regressions, self.curves, strict=True)):
            np.savez_compressed(
                folder / ARRAYS.format(number),
                chosen=curve.chosen,
                scores=curve.scores,
                **asdict(curve.sources),
                growth=curve.growth,
                weights=curve.weights,
            )
            if regression is not None:
                (folder / str(number)).mkdir()
                regression.save(folder / str(number))

    @classmethod
    def load(cls, folder: Path) -> CurveModel:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: The folder holds no model.
            ValueError: The model has another format.
        """
        described = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        if described["format"] != FORMAT:
            raise ValueError(
                f"the curve model in {folder} has format {described['format']}, this version reads {FORMAT}"
            )
        horizons = np.array([np.inf if hours is None else hours for hours in described["horizons"]])
        regressions, curves = [], []
        for number, fold in enumerate(described["folds"]):
            regressions.append(
                None if fold is None else GrowthRegression.load(folder / str(number), hours=horizons, fold=fold)
            )
            with np.load(folder / ARRAYS.format(number)) as held:
                curves.append(
                    TargetCurve(
                        held["chosen"],
                        held["scores"],
                        Sources(held["regression"], held["error"], held["simulated"]),
                        held["growth"],
                        held["weights"],
                    )
                )
        return cls(horizons, regressions, curves, np.array(described["followed"]))


def curves_of(horizons: np.ndarray, growth: np.ndarray, inputs: CurveInputs) -> Curves:
    """Return curves of counts from quantiles of log2(1 + growth), (n, T, H, Q).

    A count at a horizon that has passed is known. Distributions are cut off below the count so far, and no quantile falls from
    one horizon or level to the next. A target that is counted to the end of the data has one horizon.
    """
    counts = inputs.floor[:, :, None, None] + np.exp2(np.maximum(growth, 0.0)) - 1.0
    counts = _above(counts, np.nan_to_num(inputs.so_far)[:, :, None])
    known = np.broadcast_to(inputs.known[..., None], counts.shape)
    counts = np.sort(np.where(np.isnan(known), counts, known), axis=-1)
    rising = np.fmax.accumulate(counts, axis=2)
    return Curves(horizons, np.array(LEVELS), np.where(np.isnan(growth[..., :1]) & np.isnan(known), np.nan, rising))


def _above(quantiles: np.ndarray, lowest: np.ndarray) -> np.ndarray:
    """Return the quantiles (n, T, H, Q) of distributions that are cut off below `lowest` (n, T, 1).

    The probability of what lies below is spread over the rest. Beyond the outermost level nothing is known, so quantiles there
    are the outermost one, or `lowest`.
    """
    values = np.maximum(quantiles, lowest[..., None])
    for place in np.argwhere(quantiles[..., 0] < lowest):
        own, least = quantiles[tuple(place)], lowest[tuple(place[:2])][0]
        passed = np.interp(least, own, LEVELS, left=0.0)
        values[tuple(place)] = np.maximum(np.interp(passed + (1.0 - passed) * np.array(LEVELS), LEVELS, own), least)
    return values


def sources_of(regression: GrowthRegression | None, inputs: CurveInputs, target: int, horizons: int) -> Sources:
    """Return the forecasts of one target's growth by both sources, at `horizons` horizons."""
    nothing = np.full((len(inputs), horizons), np.nan)
    expected = (nothing, nothing) if regression is None else regression.predict(inputs, target=target)
    return Sources(*expected, np.log2(1.0 + inputs.simulated[:, target]))


def _growth(inputs: CurveInputs, counts: np.ndarray, places: np.ndarray, horizons: np.ndarray) -> np.ndarray:
    """Return log2(1 + growth) of each window, target and horizon after the window's end; NaN elsewhere."""
    later = horizons > inputs.age[:, None, None]
    values = spread(counts, places) - inputs.floor[:, :, None]
    return np.where(later, np.log2(1.0 + np.maximum(values, 0.0)), np.nan)
