"""The reasons of a forecast sum to the forecast that is served."""

import polars as pl
import pytest

from assets.curves.forecast_reasons import SCHEMA, check_sums, explained_items


@pytest.fixture
def forecasts() -> pl.DataFrame:
    return pl.DataFrame({"item": ["a", "b"], "target_name": "like@1d", "predicted": [5.0, 2.0]})


def reasons(*rows: tuple[str, str, float]) -> pl.DataFrame:
    whole = [(item, "like@1d", kind, kind, value, None) for item, kind, value in rows]
    return pl.DataFrame(whole, schema=SCHEMA, orient="row")


def test_neighbours_columns_and_terms_of_the_process_are_no_summands(forecasts):
    table = reasons(
        ("a", "base", 3.0),
        ("a", "part", 1.5),
        ("a", "remainder", 0.5),
        ("a", "neighbour", 9.0),
        ("a", "column", 9.0),
        ("a", "process", 9.0),
        ("b", "base", 2.0),
    )
    result = check_sums(table, forecasts)
    assert result.passed and result.metadata["forecasts"].value == 2


@pytest.mark.parametrize("table", [reasons(("a", "base", 5.0)), reasons(("a", "base", 5.0), ("b", "base", 2.1))])
def test_a_forecast_that_is_off_or_has_no_reasons_is_named(forecasts, table):
    result = check_sums(table, forecasts)
    assert not result.passed and result.metadata["problems"].value == ["b"]


def test_the_highest_forecasts_of_the_first_target_are_explained():
    forecasts = pl.DataFrame(
        {
            "item": ["a", "b", "c", "a", "b", "c"],
            "target_name": ["like@1d"] * 3 + ["view@1d"] * 3,
            "predicted": [1.0, 3.0, 2.0, 9.0, 0.0, 1.0],
        }
    )
    assert explained_items(forecasts, 2) == ["b", "c"]
    assert explained_items(forecasts, 10) == ["b", "c", "a"]
