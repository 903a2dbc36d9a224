"""The table of metrics: which row is bold, and which warnings stand below it."""

import polars as pl
import pytest

from assets.prediction.results import baselines_ahead, cautions, evaluation_markdown, write_results
from storage.durable import StoreError

TARGET = {"target_name": "comment@7d"}
SERVED = {"comment@7d": "M3TR"}
METRICS = {"PLCC": 0.5, "MAE": 1.0, "nMSE_count": 0.9, "PLCC_count": 0.4, "MAE_count": 120.0}


def table_of(items: int = 200, age: float | None = None, **predictors: tuple[float, float]) -> pl.DataFrame:
    """One row per predictor, from (nMSE, SRC); the model has two seeds around its mean."""
    rows = []
    for name, (error, rank) in predictors.items():
        facts = {
            "predictor": name.replace("_", " "),
            "items": items,
            "age_hours": age,
            "SRC": rank,
            **METRICS,
            **TARGET,
        }
        seeds = {0: -0.1, 1: 0.1} if name == "M3TR" else {None: 0.0}
        rows += [{**facts, "seed": seed, "nMSE": error + off} for seed, off in seeds.items()]
    return pl.DataFrame(rows, schema_overrides={"seed": pl.Int64, "age_hours": pl.Float64})


def items_of(table: pl.DataFrame) -> pl.DataFrame:
    rows = table.select("predictor", "seed", "age_hours", "target_name").join(
        pl.DataFrame({"number": range(4)}), how="cross"
    )
    return rows.with_columns(
        pl.col("number").cast(pl.String).alias("item"), target=pl.col("number") * 1.0, predicted=pl.col("number") * 0.9
    )


def text_of(table: pl.DataFrame) -> str:
    return evaluation_markdown(table, items_of(table), [], window="24 h", served=SERVED)


def test_the_best_row_is_bold_and_no_other():
    table = table_of(training_mean=(1.0, float("nan")), mean_of_neighbours=(0.3, 0.8), M3TR=(0.5, 0.9))
    rows = [line for line in text_of(table).splitlines() if line.startswith("|")]
    bold = [line for line in rows if "**" in line]
    assert len(bold) == 1
    assert bold[0].startswith("| **mean of neighbours** | **0.300** | **0.800** |")


def test_the_best_figure_of_each_age_is_bold():
    table = pl.concat(
        [
            table_of(training_mean=(1.0, float("nan")), M3TR=(0.5, 0.9)),
            table_of(age=3.0, training_mean=(1.0, float("nan")), M3TR=(1.5, 0.2)),
        ]
    )
    by_age = text_of(table).split("| nMSE by age | 3 h | 24 h |")[1]
    assert "| training mean | **1.000** | 1.000 |" in by_age
    assert "| M3TR (2 seeds) | 1.500" in by_age and "| **0.500" in by_age
    assert cautions(table, SERVED) == [], "younger ages have a check of their own"


def test_a_baseline_ahead_is_named_with_both_figures():
    table = table_of(training_mean=(1.0, float("nan")), mean_of_neighbours=(0.3, 0.8), M3TR=(0.5, 0.8))
    assert cautions(table, SERVED) == [
        "mean of neighbours is at least as good as M3TR, which is served, in nMSE (0.300 against 0.500) and SRC (0.800 against "
        "0.800)."
    ]
    assert "- **mean of neighbours is at least as good as M3TR" in text_of(table)


def test_a_model_that_is_ahead_needs_no_caution():
    table = table_of(training_mean=(1.0, float("nan")), mean_of_neighbours=(0.6, 0.8), M3TR=(0.5, 0.9))
    assert baselines_ahead(table, SERVED) == {}
    assert cautions(table, SERVED) == []


@pytest.mark.parametrize(("items", "said"), [(60, ["± 0.26"]), (2, ["± 1.00"]), (100, [])])
def test_few_test_items_are_a_caution(items, said):
    table = table_of(items, training_mean=(1.0, float("nan")), M3TR=(0.5, 0.9))
    assert len(cautions(table, SERVED)) == len(said)
    assert all(
        text in caution and f"Only {items} test items" in caution
        for text, caution in zip(said, cautions(table, SERVED))
    )


def test_results_that_cannot_be_written_name_the_file(tmp_path):
    (tmp_path / "evaluation.md").mkdir()
    table = table_of(training_mean=(1.0, float("nan")), M3TR=(0.5, 0.9))
    with pytest.raises(StoreError, match=r"evaluation\.md"):
        write_results(tmp_path, table=table, items=items_of(table), text="", hours=24.0)
