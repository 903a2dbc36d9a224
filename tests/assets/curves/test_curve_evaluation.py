"""Tables, warnings and pictures made from the scores of curves."""

import polars as pl
import pytest

from assets.curves.curve_evaluation import check_coverage, scores_markdown
from assets.curves.curve_model import check_calibrated
from assets.curves.curve_scores import OURS, SCHEMA, curve_summary
from assets.reports.curve_blocks import curve_blocks

NUMBERS = {name: 1.0 for name, kind in SCHEMA.items() if kind == pl.Float64}


def scored(row, crps, *, age=None, horizon=168.0, covered=0.8, items=400):
    places = {"row": row, "target_name": "comment@7d", "age_hours": age, "horizon_hours": horizon, "items": items}
    shares = {"coverage_50": 0.5, "coverage_80": covered, "coverage_90": 0.9, "coverage_80_deciles": [0.7, *[0.8] * 9]}
    return {**NUMBERS, **places, "crps": crps, **shares}


def table(*rows):
    return pl.DataFrame(rows, schema=SCHEMA)


SCORES = table(
    scored(OURS, 0.5, age=1.0),
    scored("line", 0.7, age=1.0),
    scored(OURS, 0.4),
    scored("line", 0.3),
    scored(OURS, 0.2, horizon=48.0),
)


def test_the_lowest_crps_of_each_age_and_horizon_is_bold():
    text = scores_markdown(SCORES)
    assert "| 1 h | 7d | 400 | **0.500** | 0.700 |" in text
    assert "| whole window | 7d | 400 | 0.400 | **0.300** |" in text
    assert "| whole window | 2d | 400 | **0.200** | n/a |" in text
    assert "| whole window | 2d | 50.0 | 80.0 | 90.0 | 76 to 84 | 70 to 80 |" in text


def test_the_summary_names_coverage_and_the_longest_horizon():
    assert curve_summary(SCORES) == [
        "curves of comment@7d: 80 % intervals cover 80.0 % on average, 80.0 to 80.0 % over 3 ages and horizons; CRPS at 7d: "
        "line 0.300, curve 0.400"
    ]
    assert curve_summary(table()) == []


@pytest.mark.parametrize(("covered", "passed"), [(0.8, True), (0.83, True), (0.72, False), (0.9, False)])
def test_coverage_beyond_chance_is_a_warning(covered, passed):
    result = check_coverage(table(scored(OURS, 0.5, covered=covered), scored("line", 0.5, covered=0.1)))
    assert result.passed is passed
    places = result.metadata["covered_percent"].value
    assert list(places) == ([] if passed else ["comment@7d, whole window, 7d: 80 %"])


def test_a_test_item_among_the_residuals_is_found():
    sides = pl.DataFrame({"item": ["a", "b", "c"], "split": ["train", "val", "test"]})
    assert check_calibrated(["a", "b"], sides).passed
    assert check_calibrated(["a", "c"], sides).metadata["outside"].value == ["c"]


def test_the_leaderboard_shows_the_label_s_horizon_alone():
    blocks = curve_blocks(SCORES.with_columns(pl.lit("random").alias("arm")))
    assert [row[:2] for row in blocks[-1].rows] == [["line", "0.300"], ["curve", "0.400"]]
    assert curve_blocks(table().with_columns(pl.lit("random").alias("arm"))) == []
