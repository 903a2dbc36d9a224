"""What the page of an asset shows of its tables."""

import math

import polars as pl

from assets.engine.column_descriptions import description_of
from assets.engine.shown_tables import LONGEST_TEXT, shown_tables, table_of
from storage.store import Store

FRAME = pl.DataFrame({"item": ["7", "8"], "t0": [1_780_000_000_000, None], "SRC": [math.nan, 0.123456]})
NEAR = pl.Series(
    [[{"item": "1", "score": 0.5}], []], dtype=pl.List(pl.Struct({"item": pl.String, "score": pl.Float32}))
)


def test_the_first_table_has_a_row_count_described_columns_and_a_preview(tmp_path):
    store = Store(tmp_path)
    for name in ("popularity", "labels"):
        store.table(name).write(FRAME.with_columns(neighbours=NEAR), inputs_hash="i", fingerprint="f")
    shown = shown_tables(store, [("tables", "popularity"), ("tables", "labels"), ("tables", "absent")])
    assert set(shown) == {
        *("dagster/row_count", "dagster/column_schema", "dagster/table_name"),
        *("preview", "preview of labels"),
    }
    assert shown["dagster/row_count"].value == 2
    columns = {column.name: column for column in shown["dagster/column_schema"].value.columns}
    assert columns["t0"].type == "Int64" and columns["neighbours"].type == "List(Struct)"
    assert columns["t0"].description.startswith("Start of the video's clock")


def test_a_side_table_of_a_model_is_not_taken_for_the_model_itself(tmp_path):
    store = Store(tmp_path)
    store.table("obstacles").write(FRAME, inputs_hash="i", fingerprint="f")
    assert set(shown_tables(store, [("artifacts", "model"), ("tables", "obstacles")])) == {"preview of obstacles"}


def test_moments_are_dates_and_nothing_is_lost_to_json():
    first, second = (record.data for record in table_of(FRAME).records)
    assert first == {"item": "7", "t0": "2026-05-28 20:26:40", "SRC": "n/a"}
    assert second == {"item": "8", "t0": "", "SRC": 0.1235}


def test_files_and_long_values_are_shortened():
    frame = pl.DataFrame({"frames": [[b"1234", b"12"]], "title": ["x" * 500], "embedding": [[0.5] * 900]})
    (record,) = table_of(frame).records
    assert record.data["frames"] == "2 × 0.0 kB"
    assert len(record.data["title"]) == LONGEST_TEXT
    assert record.data["embedding"] == "900 numbers"


def test_columns_whose_names_follow_a_pattern_are_described():
    assert "5 %" in description_of("forecast_curves", "q05").replace("05", "5")
    assert description_of("splits", "group") != description_of("elsewhere", "group")
    assert description_of("elsewhere", "never heard of") is None
