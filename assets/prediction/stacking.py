"""The row `stack`: weights per target and age from validation forecasts, and combined forecasts of any window."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from assets.prediction.age_weights import age_weights
from assets.prediction.forecast import Forecast
from models.predictor_table import LINE, STACK
from models.predictors.stack import fit_stack
from storage.store import Store

WEIGHTS = "stack_weights"  # the table of weights
ENOUGH = 50  # validation items from which an age has weights of its own; below, ages share theirs
SCHEMA = {
    "target_name": pl.String,
    "age_hours": pl.Float64,
    "member": pl.String,
    "weight": pl.Float64,
    "trust": pl.Float64,
}


def fit_stacks(items: pl.DataFrame, *, seeds: Sequence[int]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Fit the weights per target and age.

    The prior is the log-linear extrapolation, which two numbers describe and which thus needs few items. Where it does not
    apply, the members have equal prior weights.

    Args:
        items: Forecasts of the validation items; see `assets.prediction.item_forecasts`.
        seeds: The seeds of members that have any.

    Returns:
        The weights (columns of `SCHEMA`), and the stack's forecasts of the validation items in the form of `items`. The
        forecast of an item uses weights that were fitted without it.
    """
    weights, stacked = [], []
    for (target,), of_target in items.group_by("target_name", maintain_order=True):
        ages = of_target["age_hours"].unique(maintain_order=True).to_list()
        parts = {age: of_target.filter(pl.col("age_hours").eq_missing(age)) for age in ages}
        for together in _groups(parts):
            members = parts[together[0]]["predictor"].unique(maintain_order=True).to_list()
            prior = np.array([float(name == LINE) for name in members])
            if not prior.any():
                prior[:] = 1.0 / len(members)
            tables = [_forecasts(parts[age], members, seeds) for age in together]
            known = pl.concat([frame for frame, _ in tables])
            fit = fit_stack(
                np.concatenate([values for _, values in tables], axis=1),
                known["target"].to_numpy(),
                known["item"].to_numpy(),
                prior=prior,
            )
            weights += [
                {"target_name": target, "age_hours": age, "member": name, "weight": weight, "trust": fit.trust}
                for age in together
                for name, weight in zip(members, fit.weights.tolist(), strict=True)
            ]
            stacked += [
                known.with_columns(predictor=pl.lit(STACK), seed=pl.lit(seed, pl.Int64), predicted=pl.Series(values))
                for seed, values in zip(seeds, fit.validated, strict=True)
            ]
    return pl.DataFrame(weights, schema=SCHEMA), pl.concat(stacked)


def _groups(parts: dict[float | None, pl.DataFrame]) -> list[list[float | None]]:
    """Return the ages that share weights: those with the same members and too few items of their own."""
    groups: dict[tuple[object, ...], list[float | None]] = {}
    for age, part in parts.items():
        alone = part["item"].n_unique() >= ENOUGH
        groups.setdefault((*part["predictor"].unique(maintain_order=True), age if alone else "shared"), []).append(age)
    return list(groups.values())


def _forecasts(part: pl.DataFrame, members: Sequence[str], seeds: Sequence[int]) -> tuple[pl.DataFrame, np.ndarray]:
    """Return one row per item, and the members' forecasts (seeds, items, members)."""
    first = part.filter(pl.col("predictor") == members[0])
    values = np.empty((len(seeds), len(first), len(members)))
    for place, name in enumerate(members):
        of_member = part.filter(pl.col("predictor") == name)
        for row, seed in enumerate(seeds):
            values[row, :, place] = _of_seed(of_member, seed)["predicted"].to_numpy()
    return first, values


def _of_seed(of_member: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Return the rows of a seed; a member with one model has it for every seed."""
    return of_member if of_member["seed"].n_unique() == 1 else of_member.filter(pl.col("seed") == seed)


def stack_forecasts(
    weights: pl.DataFrame,
    forecasts: Sequence[Forecast],
    ages: np.ndarray,
    *,
    targets: Sequence[str],
    whole: float | None,
    seeds: Sequence[int],
) -> list[Forecast]:
    """Return the stack's forecasts, one per seed, with weights interpolated between the ages of the table.

    Where a member does not apply to a window, the others share its weight, equally if they have none of their own.

    Args:
        weights: The table of weights.
        forecasts: The members' forecasts of n windows.
        ages: (n,) hours since t = 0; NaN for a complete window.
        targets: Names of the T targets.
        whole: Length of a complete window in hours, or None if there is no common length.
        seeds: The seeds.
    """
    members = dict.fromkeys(forecast.row for forecast in forecasts)
    combined = [np.full((len(ages), len(targets)), np.nan) for _ in seeds]
    for column, target in enumerate(targets):
        own = weights.filter(pl.col("target_name") == target)
        young = own["age_hours"].drop_nulls().unique().sort().to_list()
        by_age = age_weights(ages, [*young, None], whole=whole)  # (n, ages)
        fitted = {(age, name): weight for age, name, weight in own.select("age_hours", "member", "weight").iter_rows()}
        table = np.array([[fitted.get((age, name), 0.0) for name in members] for age in [*young, None]])
        for values, seed in zip(combined, seeds, strict=True):
            parts = np.column_stack([_values(forecasts, name, seed)[:, column] for name in members])  # (n, members)
            share = np.where(np.isnan(parts), 0.0, by_age @ table)
            nobody = share.sum(1) == 0
            share[nobody] = ~np.isnan(parts[nobody])
            values[:, column] = (share * np.nan_to_num(parts)).sum(1) / share.sum(1)
    return [Forecast(STACK, seed, values) for seed, values in zip(seeds, combined, strict=True)]


def _values(forecasts: Sequence[Forecast], row: str, seed: int) -> np.ndarray:
    own = [forecast for forecast in forecasts if forecast.row == row]
    return next(forecast.values for forecast in own if len(own) == 1 or forecast.seed == seed)


def read_weights(store: Store) -> pl.DataFrame:
    """Return the stack's weights; see `SCHEMA`."""
    return store.table(WEIGHTS).read()
