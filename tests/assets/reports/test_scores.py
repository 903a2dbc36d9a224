"""Scores of all rows: averages over seeds, intervals, the first row, and strata with ties."""

import numpy as np
import polars as pl
import pytest

from assets.reports.document import Grid
from assets.reports.findings import findings
from assets.reports.leaderboard_document import score_blocks
from assets.reports.scores import score_rows, strata
from models.metrics import nmse


def items_of(noise: dict[str, list[float]], *, items: int = 200, age: float | None = None) -> pl.DataFrame:
    """Forecasts per row: one run per listed size of its error."""
    rng = np.random.default_rng(0)
    count = rng.poisson(20, items).astype(float)
    frames = []
    for name, sizes in noise.items():
        for seed, size in enumerate(sizes):
            predicted = np.log2(1 + count) + size * rng.normal(size=items)
            frames.append(
                pl.DataFrame(
                    {
                        "arm": "random",
                        "predictor": name,
                        "seed": seed if len(sizes) > 1 else None,
                        "target_name": "like@7d",
                        "item": [f"{number:03d}" for number in range(items)],
                        "target": np.log2(1 + count),
                        "predicted": predicted,
                        "count": count,
                        "predicted_count": 2**predicted - 1,
                        "age_hours": age,
                    },
                    schema_overrides={"seed": pl.Int64, "age_hours": pl.Float64},
                )
            )
    return pl.concat(frames)


def test_trivial_rows_stand_first_and_then_the_models_by_their_mean_nmse():
    items = items_of({"M3TR": [0.5, 0.6], "boosting": [0.3, 0.3], "training mean": [0.9]})
    rows = score_rows(items)
    assert rows["predictor"].to_list() == ["training mean", "boosting", "M3TR"]
    assert rows["first"].to_list() == [False, True, False]
    own = items.filter(pl.col("predictor") == "M3TR")
    by_seed = [float(nmse(run["target"], run["predicted"])) for _, run in own.group_by("seed", maintain_order=True)]
    found = rows.row(by_predicate=pl.col("predictor") == "M3TR", named=True)
    assert found["nMSE"] == pytest.approx(np.mean(by_seed))
    assert found["nMSE_seed_low"] < min(by_seed) and found["nMSE_item_low"] < found["nMSE"] < found["nMSE_item_high"]
    assert np.isnan(rows["nMSE_seed_low"][0]), "one run has no interval over seeds"


def test_the_paired_difference_is_narrower_than_the_intervals_of_both():
    """Both rows are wrong on the same items, by the same errors but for a small part."""
    items = items_of({"boosting": [0.5]})
    worse = items.with_columns(
        predictor=pl.lit("M3TR"), predicted=pl.col("target") + 1.05 * (pl.col("predicted") - pl.col("target"))
    )
    row = score_rows(pl.concat([items, worse])).row(by_predicate=pl.col("predictor") == "M3TR", named=True)
    assert 0 < row["behind_low"] < row["behind"] < row["behind_high"]
    assert row["behind_high"] - row["behind_low"] < (row["nMSE_item_high"] - row["nMSE_item_low"]) / 3


def test_strata_go_by_count_and_then_by_item():
    items = items_of({"boosting": [0.0, 0.0]}, items=60).with_columns(
        count=pl.when(pl.col("item") < "030").then(1.0).otherwise(5.0), predicted_count=pl.col("item").cast(pl.Float64)
    )
    means = {row["stratum"]: (row["true_mean"], row["mean"]) for row in strata(items).iter_rows(named=True)}
    assert means == {
        "top 50": (pytest.approx((20 * 1 + 30 * 5) / 50), pytest.approx(np.mean(range(10, 60)))),
        "bottom 50": (pytest.approx((30 * 1 + 20 * 5) / 50), pytest.approx(np.mean(range(50)))),
    }


def test_every_table_of_the_document_has_the_rows_in_the_same_order():
    items = items_of({"M3TR": [0.5, 0.6], "boosting": [0.3, 0.3], "training mean": [0.9]})
    costs = {"parameters": 1, "training_seconds": None, "peak_memory_mb": None}
    rows = score_rows(items).with_columns(**{name: pl.lit(value, pl.Float64) for name, value in costs.items()})
    obstacles = pl.DataFrame(schema={"arm": pl.String, "title": pl.String, "reason": pl.String})
    blocks = score_blocks(rows, strata(items), obstacles, file="leaderboard")
    grids = [[row[0].split(" (")[0] for row in block.rows] for block in blocks if isinstance(block, Grid)]
    assert grids == [*[["training mean", "boosting", "M3TR"]] * 2, ["true mean", "training mean", "boosting", "M3TR"]]


def test_the_findings_say_where_boosting_is_not_beaten_and_where_a_printed_order_does_not_appear():
    noise = {"M3TR": [0.28], "boosting": [0.30], "boosting + content": [0.6], "MMRA": [0.9], "CBAN": [0.5]}
    told = "\n".join(findings(score_rows(items_of(noise))))
    assert "M3TR is ahead of boosting + content (tuned CatBoost)" in told
    assert "M3TR is not ahead of boosting (tuned CatBoost)" in told
    assert "M3TR, Table 1 (MicroLens-100k) orders its rows by nMSE otherwise; not found here: MMRA before CBAN" in told
    assert "tuned CatBoost: no other" in "\n".join(findings(score_rows(items_of({**noise, "M3TR": [0.9]}))))
