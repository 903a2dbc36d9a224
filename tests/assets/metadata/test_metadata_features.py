"""The stage `metadata_features`: what it takes from the data set, and what is computed again."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from assets.engine.store_access import open_store, read_dataset
from assets.metadata.author_statistics import author_statistics
from assets.metadata.item_metadata import item_metadata
from assets.metadata.metadata_features import metadata_of, payload_of
from storage.datasets import DETAILS
from tests.assets.metadata.conftest import GROUP

DOCUMENT = Path(__file__).parents[3] / "docs" / "metadata.md"
DAY = 86_400_000


@pytest.fixture
def given(described) -> pl.DataFrame:
    """Metadata of the described set, to which details, authors' statistics and two features were added."""
    settings = described()
    store = open_store(settings)
    dataset = read_dataset(store, settings)
    details = [{"item": "4", "language": "de", "duration": 12.5, "width": 9.0, "height": 16.0, "hashtags": "x, y"}]
    added = replace(
        dataset,
        details=pl.DataFrame(details, schema=DETAILS),
        features=pl.DataFrame({"item": ["4"], "price": [3.5], "item type": ["toy"]}),
        authors=pl.DataFrame(
            {"author": ["a1"], "time": [None], "followers": [7.0]}, schema_overrides={"time": pl.Int64}
        ),
    )
    return metadata_of(store, added, "UTC")


def test_what_the_data_set_gives_becomes_columns(given):
    row = given.row(by_predicate=pl.col("item") == "4", named=True)
    expected = {"language": "de", "duration": 12.5, "orientation": "portrait", "hashtag_count": 3.0}
    expected |= {"feature_price": 3.5, "feature_item type": "toy", "author": "a1", "author_followers_undated": 7.0}
    assert {name: row[name] for name in expected} == expected
    other = given.row(by_predicate=pl.col("item") == "5", named=True)
    assert [other[name] for name in ("language", "duration", "feature_price", "author_followers_undated")] == [None] * 4


def test_every_column_can_be_stored(given):
    assert payload_of(given).names == given.columns[1:]


def test_every_column_is_documented(given):
    text = DOCUMENT.read_text(encoding="utf-8")
    kept = [name for name in given.columns[1:] if not name.startswith(("feature_", "author_")) and name != "category"]
    assert [name for name in kept if f"`{name}" not in text] == []


def test_undated_statistics_can_be_switched_off(described, given, monkeypatch):
    settings = described()
    store = open_store(settings)
    monkeypatch.setattr("assets.metadata.item_metadata.read_metadata", lambda store: given)
    assert "author_followers_undated" in item_metadata(store, settings.metadata).columns
    off = described(metadata__given_statistics="false")
    assert "author_followers_undated" not in item_metadata(store, off.metadata).columns


class TestStatistics:
    VIDEOS = pl.DataFrame(
        {"item": ["a", "b", "c", "d"], "author": ["x", "x", None, "z"], "t0": [DAY, 3 * DAY, DAY, None]}
    )

    def test_a_dated_one_is_the_latest_before_the_publication(self):
        authors = pl.DataFrame({"author": ["x"] * 3, "time": [2 * DAY, DAY, 5 * DAY], "fans": [20.0, 10.0, 50.0]})
        found = author_statistics(self.VIDEOS, authors)
        assert found.columns == ["item", "author_fans"]
        assert found["author_fans"].to_list() == [None, 20.0, None, None]

    def test_dated_and_undated_ones_are_told_apart(self):
        authors = pl.DataFrame({"author": ["x", "z"], "time": [2 * DAY, None], "fans": [20.0, 9.0]})
        found = author_statistics(self.VIDEOS, authors)
        assert found["author_fans"].to_list() == [None, 20.0, None, None]
        assert found["author_fans_undated"].to_list() == [None, None, None, 9.0]


def test_only_changed_values_are_computed_again(described, materialise):
    """At another time zone every hour is another one; at a zone with the same hours nothing changes."""
    for zone, stale in (("Iceland", 0), ("Asia/Tokyo", 60)):
        result = materialise(described(metadata__time_zone=zone), GROUP)
        (done,) = result.asset_materializations_for_node("metadata_features")
        assert done.metadata["plan"].data["stale"] == stale, zone
