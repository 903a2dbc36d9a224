"""The stack's weights per target and age, and the row that is served."""

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from assets.prediction.extrapolation import Extrapolation
from assets.prediction.forecast import Forecast
from assets.prediction.served_row import ranked_rows, served_forecasts, served_rows
from assets.prediction.stacking import ENOUGH, fit_stacks, stack_forecasts
from assets.settings.model import Model
from models.baselines import LogLinear, NotApplicable
from models.predictor_table import LINE, MEAN, STACK

SEEDS = [0, 1]


def validation(count: int, *, ages=(1.0, None), line=1.0, model=0.3, seed: int = 0) -> pl.DataFrame:
    """Forecasts of `count` items: the mean, a line with an error of deviation `line`, two seeds with `model`."""
    rng, frames = np.random.default_rng(seed), []
    target = rng.normal(size=count)
    for age in ages:
        rows = [(MEAN, None, np.zeros(count)), (LINE, None, target + line * rng.normal(size=count))]
        rows += [("M3TR", one, target + model * rng.normal(size=count)) for one in SEEDS]
        for name, one, predicted in rows:
            if name != LINE or age != 0.0:  # nothing is counted at age 0
                columns = {"item": [f"i{k}" for k in range(count)], "target": target, "predicted": predicted}
                facts = [
                    pl.lit(name).alias("predictor"),
                    pl.lit(one, pl.Int64).alias("seed"),
                    pl.lit("like@7d").alias("target_name"),
                    pl.lit(age, pl.Float64).alias("age_hours"),
                ]
                frames.append(pl.DataFrame(columns).with_columns(facts))
    return pl.concat(frames)


def weight(weights: pl.DataFrame, member: str, age: float | None) -> float:
    return weights.filter(pl.col("member") == member, pl.col("age_hours").eq_missing(age))["weight"].item()


def test_many_items_give_every_age_weights_of_its_own_and_few_share_them():
    many, few = (fit_stacks(validation(count), seeds=SEEDS)[0] for count in (4 * ENOUGH, ENOUGH - 1))
    assert weight(many, "M3TR", 1.0) > 0.7 and weight(many, "M3TR", 1.0) != weight(many, "M3TR", None)
    assert weight(few, "M3TR", 1.0) == weight(few, "M3TR", None) > 0.5


def test_without_evidence_the_line_is_kept_and_where_there_is_none_all_members_are_equal():
    weights = fit_stacks(validation(2, ages=(0.0, None)), seeds=SEEDS)[0]
    assert weight(weights, LINE, None) == 1.0
    assert LINE not in weights.filter(pl.col("age_hours") == 0.0)["member"]
    assert weight(weights, "M3TR", 0.0) == weight(weights, MEAN, 0.0) == 0.5


def test_forecasts_use_interpolated_weights_and_a_member_that_does_not_apply_gives_its_share_away():
    table = pl.DataFrame(
        [("t", 1.0, LINE, 1.0), ("t", 1.0, "M3TR", 0.0), ("t", None, LINE, 0.0), ("t", None, "M3TR", 1.0)],
        schema=["target_name", "age_hours", "member", "weight"],
        orient="row",
    )
    line = Forecast(LINE, None, np.array([[1.0], [1.0], [1.0], [np.nan]]))
    models = [Forecast("M3TR", seed, np.full((4, 1), 3.0 + seed)) for seed in SEEDS]
    ages = np.array([1.0, np.nan, 5.0, 1.5])
    found = stack_forecasts(table, [line, *models], ages, targets=["t"], whole=24.0, seeds=SEEDS)
    assert [forecast.seed for forecast in found] == SEEDS and {forecast.row for forecast in found} == {STACK}
    values = found[1].values[:, 0]
    assert values[0] == 1.0 and values[1] == 4.0 and values[3] == 4.0
    assert 1.5 < values[2] < 3.5
    unknown = [Forecast(LINE, None, np.array([[np.nan]])), Forecast("M3TR", None, np.array([[3.0]]))]
    (alone,) = stack_forecasts(table, unknown, np.array([1.0]), targets=["t"], whole=24.0, seeds=[0])
    assert alone.values.tolist() == [[3.0]]


def test_the_best_row_is_served_and_another_by_name():
    rows = validation(200)
    assert served_rows(rows, serve="best") == {"like@7d": "M3TR"}
    assert served_rows(rows, serve="m3tr") == {"like@7d": "M3TR"}
    assert served_rows(rows, serve=LINE) == {"like@7d": LINE}
    with pytest.raises(ValidationError, match=r"serve must be one of best, m3tr.*training mean.*got 'm3'"):
        Model(serve="m3")
    with pytest.raises(ValidationError, match=r"different names among m3tr, .*boosting.*stack are allowed"):
        Model(train=["m3tr", "m3tr"])


def test_the_stack_is_preferred_to_a_row_that_is_better_by_chance_only():
    rows = validation(6, line=0.5, model=0.5)
    stacked = pl.concat([rows, fit_stacks(rows, seeds=SEEDS)[1].select(rows.columns)])
    assert served_rows(stacked, serve="best") == {"like@7d": STACK}
    spoiled = stacked.with_columns(
        pl.when(pl.col("predictor") == STACK).then(pl.col("predicted") + 9).otherwise("predicted").alias("predicted")
    )
    assert served_rows(spoiled, serve="best") != {"like@7d": STACK}


def test_a_row_that_lacks_an_age_is_not_served():
    rows = validation(200, ages=(0.0, None), line=0.01)
    assert served_rows(rows, serve="best") == {"like@7d": "M3TR"}


def test_the_extrapolation_is_the_line_at_its_ages_and_between_them_between():
    counts = {1.0: (np.array([[1.0], [3.0], [7.0]]), 2.0), None: (np.array([[3.0], [7.0], [31.0]]), 1.0)}
    final = np.array([[15.0], [31.0], [63.0]])
    fitted = Extrapolation.fit({age: (early, final) for age, (early, _) in counts.items()}, whole=24.0, scale="log2p1")
    lines = [LogLinear.fit(early[:, 0], final[:, 0]) for early, _ in counts.values()]
    found = fitted.predict(np.full((3, 1), 7.0), np.array([1.0, np.nan, 4.0]))[:, 0]
    young, old = (np.log2(1 + line.predict(np.array([7.0]))[0]) for line in lines)
    assert found[0] == young and found[1] == old
    assert min(young, old) < found[2] < max(young, old)


def test_an_age_without_a_line_has_no_forecast():
    nothing, final = np.zeros((3, 1)), np.array([[1.0], [3.0], [7.0]])
    fitted = Extrapolation.fit({0.0: (nothing, final), None: (final, 2 * final)}, whole=24.0, scale="log2p1")
    assert isinstance(fitted.lines[0][0], NotApplicable)
    found = fitted.predict(np.array([[0.0], [3.0], [np.nan]]), np.array([0.0, np.nan, np.nan]))[:, 0]
    assert np.isnan(found[0]) and np.isfinite(found[1]) and np.isnan(found[2])


def test_where_the_served_row_does_not_apply_the_next_best_is_served():
    validation = pl.DataFrame(
        {
            "target_name": ["t"] * 6,
            "predictor": ["M3TR", "M3TR", LINE, LINE, MEAN, MEAN],
            "age_hours": [None] * 6,
            "item": ["a", "b"] * 3,
            "predicted": [1.0, 2.0, 1.5, 2.0, 5.0, 5.0],
            "target": [1.0, 2.0] * 3,
        },
        schema_overrides={"age_hours": pl.Float64},
    )
    assert ranked_rows(validation, serve="best") == {"t": ["M3TR", LINE, MEAN]}
    rows = ranked_rows(validation, serve=LINE)["t"]
    assert rows == [LINE, "M3TR", MEAN]
    forecasts = [
        Forecast(MEAN, None, np.full((3, 1), 7.0)),
        Forecast(LINE, None, np.array([[1.0], [np.nan], [np.nan]])),
        Forecast("M3TR", 0, np.array([[2.0], [3.0], [np.nan]])),
        Forecast("M3TR", 1, np.array([[2.0], [5.0], [np.nan]])),
    ]
    served = served_forecasts(forecasts, rows, 0)
    assert served["model"].to_list() == [LINE, "M3TR", MEAN] and served["seeds"].to_list() == [1, 2, 1]
    assert served.select("predicted", "predicted_low", "predicted_high").rows() == [(1, 1, 1), (4, 3, 5), (7, 7, 7)]
    assert served_forecasts(forecasts, ["M3TR", "no such row", MEAN], 0)["predicted"].to_list() == [2.0, 4.0, 7.0]
