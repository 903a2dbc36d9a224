"""Vocabularies: which columns and categories there are, and that training items alone decide."""

import json
from dataclasses import asdict

import polars as pl
import pytest

import assets.metadata.window_columns as module
from assets.engine.refit_policy import DIGESTS, FITTED, fitted_on
from assets.engine.store_access import open_store
from assets.metadata.item_metadata import item_metadata
from assets.metadata.window_columns import (
    FILE,
    NAME,
    check_columns,
    columns_in_service,
    fit_columns,
    named_categories,
)
from assets.protocol.splits import items_of, read_splits
from assets.settings import Metadata
from storage.rows import Row
from tests.assets.metadata.conftest import GROUP


def fit(frame: dict, **settings: object):
    types = {"tags": pl.List(pl.String)} if "tags" in frame else {}
    return fit_columns(pl.DataFrame(frame, schema_overrides=types), [], [], Metadata(**settings))


class TestFit:
    def test_a_number_without_two_values_has_no_column(self):
        columns = fit({"constant": [1.0, 1.0], "sometimes": [None, 2.0], "varied": [1.0, 2.0]})
        assert columns.numbers == ["sometimes", "varied"]

    def test_categories_below_the_limit_are_rare(self):
        values = {"language": ["en"] * 3 + ["de"] * 2 + ["is"] + [None]}
        assert fit(values, min_count=2).categories == {"language": ["de", "en"]}
        assert fit(values, min_count=3).categories == {"language": ["en"]}

    def test_a_category_that_tells_nothing_has_no_column(self):
        assert fit({"language": ["en"] * 4}, min_count=1).categories == {}
        assert fit({"language": list("abcd")}, min_count=2).categories == {}

    def test_the_most_frequent_hashtags_have_columns(self):
        tags = {"tags": [["a", "b"], ["b"], ["a", "b", "c"], ["c"], []]}
        assert fit(tags, min_count=2).tags == {"tags": ["b", "a", "c"]}
        assert fit(tags, min_count=2, hashtags=1).tags == {"tags": ["b"]}
        assert fit(tags, min_count=3).tags == {"tags": ["b"]}


def test_named_categories():
    assert named_categories(pl.Series("x", ["a", "b", None]), ["a"]).to_list() == ["a", "rare", ""]


@pytest.mark.parametrize(
    ("zone", "says"), [("Berlin", r"Europe/Berlin.*got 'Berlin'"), ("Europe/Berlim", r"is .*Europe/Berlin.* meant")]
)
def test_an_unknown_time_zone_is_refused(zone, says):
    with pytest.raises(ValueError, match=says):
        Metadata(time_zone=zone)


def test_training_items_alone_decide(described):
    settings = described()
    store = open_store(settings)
    version, columns = columns_in_service(store)
    training = set(items_of(read_splits(store), "train"))
    with version.reading() as folder:
        assert set(fitted_on(folder)["columns"]) == training
    frame = item_metadata(store, settings.metadata).filter(pl.col("item").is_in(list(training)))
    counts = dict(frame["author"].drop_nulls().value_counts().iter_rows())
    assert set(columns.categories["author"]) == {author for author, count in counts.items() if count >= 2}
    assert columns.categories["category_2"] == ["music/live"]
    assert columns.types == ["comment", "like"]


@pytest.mark.parametrize(("share", "expected"), [("0.05", [1, 2]), ("0", [2, 3])])
def test_the_version_stays_while_few_items_change(described, materialise, share, expected):
    """One item gets another author, then all items another time zone."""
    store = open_store(described())
    stage = store.stages()["metadata_features"]
    versions = []
    for zone in ("UTC", "Asia/Tokyo"):
        settings = described(metadata__refit_share=share, metadata__time_zone=zone)
        if zone == "UTC":
            item = items_of(read_splits(store), "train")[0]
            (row,) = stage.read(items=[item]).drop(["item"]).to_pylist()
            stage.commit([Row.ok(item, "changed", {**row, "author": "another"})], fingerprint="changed")
            assert materialise(settings, ["window_columns"]).success
        else:
            assert materialise(settings, GROUP).success
        versions.append(columns_in_service(store)[0].version)
    assert versions == expected


def test_a_vocabulary_that_is_fitted_on_test_items_stops_the_run(described, materialise, monkeypatch):
    def every_item(sides, *names):
        return sides["item"].to_list()

    monkeypatch.setattr(module, "items_of", every_item)
    result = materialise(described(metadata__refit_share="0"), ["window_columns"])
    failed = [check.check_name for check in result.get_asset_check_evaluations() if not check.passed]
    assert not result.success and failed == ["columns_are_fitted_on_training_items"]


def test_a_vocabulary_that_hides_that_it_was_fitted_on_test_items_is_found(described):
    settings = described()
    store = open_store(settings)
    assert check_columns(store, settings).passed
    version, columns = columns_in_service(store)
    leaked = {**asdict(columns), "categories": {**columns.categories, "author": [*columns.categories["author"], "new"]}}
    with version.reading() as folder:
        facts = {name: (folder / name).read_text() for name in (FITTED, DIGESTS)}
    with store.artifact(NAME).new(inputs_hash="planted", fingerprint=version.fingerprint) as folder:
        for name, text in {**facts, FILE: json.dumps(leaked)}.items():
            (folder / name).write_text(text)
    assert not check_columns(store, settings).passed
