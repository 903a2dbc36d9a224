"""The table of windows from a run of the graph, and leaks that stop the run."""

import numpy as np
import polars as pl
import pytest

import assets.metadata.author_history
import assets.metadata.observed_counts
import assets.metadata.window_table
from assets.engine.store_access import open_store
from assets.ingest.interactions import read_events
from assets.metadata.observed_counts import counter_columns, event_columns, windows_at
from assets.metadata.window_columns import WindowColumns
from assets.metadata.window_table import check_window_table, table_of, window_table
from assets.protocol.observation import measure_popularity
from assets.protocol.popularity import read_popularity
from assets.settings import Protocol
from models.predictors.table import Table
from tests.assets.metadata.conftest import GROUP
from tests.assets.metadata.test_observed_counts import PROTOCOLS, random_feedback


def column(table: Table, name: str) -> np.ndarray:
    if name in table.numeric_names:
        return table.numeric[:, table.numeric_names.index(name)]
    return table.categorical[:, table.categorical_names.index(name)]


def failed_checks(result) -> list[str]:
    return [check.check_name for check in result.get_asset_check_evaluations() if not check.passed]


def test_one_row_per_window(described):
    settings = described()
    store = open_store(settings)
    table = window_table(store, settings, ["1", "2", "4", "4", "4", "unknown"], [None, None, None, 1.0, 0.0, None])
    assert column(table, "age_hours").tolist()[:5] == [24, 24, 24, 1, 0]
    assert column(table, "author").tolist() == ["rare", "rare", "a1", "a1", "a1", ""]
    assert column(table, "category_1").tolist() == ["music", "talk", "talk", "talk", "talk", ""]
    assert column(table, "hashtags fun").tolist()[:5] == [0, 0, 1, 1, 1]
    assert column(table, "title_length")[:2].tolist() == [len("big dance 1 #own1"), len("small talk 2 #own2")]
    events = read_events(store).filter(pl.col("item") == "4")
    first = events["time"] - read_popularity(store).filter(pl.col("item") == "4")["t0"].item()
    assert column(table, "events")[2:5].tolist() == [(first <= 24 * 3_600_000).sum(), (first <= 3_600_000).sum(), 0]
    assert column(table, "counter view")[2:5].tolist() == pytest.approx([63, np.nan, np.nan], nan_ok=True)
    assert column(table, "counter_per_hour view")[2] == 10
    assert column(table, "history_items")[:3].tolist() == [0, 0, 8]
    assert np.isnan(table.numeric[5, : table.numeric_names.index("age_hours")]).all()


def test_a_column_that_was_fitted_and_is_gone_is_unknown():
    columns = WindowColumns(["fps"], {"language": ["en"]}, {"hashtags": ["fun"]}, [], [])
    table = table_of(pl.DataFrame({"item": ["a"]}), pl.DataFrame({"age_hours": [1.0]}), columns)
    assert table.numeric_names == ("fps", "hashtags fun", "age_hours")
    assert np.isnan(table.numeric[0, :2]).all() and table.categorical.tolist() == [[""]]


@pytest.mark.parametrize("name", ["observed", "observed_snapshots"])
def test_an_event_or_a_snapshot_after_the_age_stops_the_run(described, materialise, monkeypatch, name):
    def an_hour_late(*arguments):
        return original(*arguments).with_columns(pl.col("hours") - 1)

    original = getattr(assets.metadata.observed_counts, name)
    monkeypatch.setattr(assets.metadata.observed_counts, name, an_hour_late)
    result = materialise(described(metadata__refit_share="0"), ["window_columns"])
    assert not result.success and failed_checks(result) == ["nothing_after_the_age_is_in_the_table"]


def test_an_authors_future_labels_stop_the_run(described, materialise, monkeypatch):
    def too_early(*arguments):
        return original(*arguments).with_columns(pl.col("observable_at") - 47 * 3_600_000)

    original = assets.metadata.author_history.labels_that_count
    monkeypatch.setattr(assets.metadata.author_history, "labels_that_count", too_early)
    result = materialise(described(metadata__refit_share="0"), GROUP)
    assert not result.success and failed_checks(result) == ["author_history_was_known_at_publication"]
    assert not result.asset_materializations_for_node("window_columns")


BOTH = pytest.mark.parametrize("protocol", PROTOCOLS[:2], ids=["24 h", "first 5"])


class TestCheckOfCounters:
    """The check on hand-made feedback, in windows of 24 hours and of five events."""

    def wrong(self, protocol: Protocol, age: float | None, *, seen_at: float | None) -> set[str]:
        """The columns that the check finds wrong at an age, if the table holds what was seen at another one."""
        videos, events, counters = random_feedback()
        popularity = measure_popularity(videos, events, protocol).frame
        windows = windows_at(videos["item"].to_list(), [seen_at] * len(videos), popularity)
        counted = event_columns(windows, events, popularity, protocol, ["like"])
        counted = counted.hstack(counter_columns(windows, counters, popularity, protocol, ["view", "share"]))
        table = table_of(videos.select("item"), counted, WindowColumns([], {}, {}, ["like"], ["view", "share"]))
        return {
            name.split(" at ")[0] for name in check_window_table(table, popularity, age, events, counters, protocol)
        }

    @BOTH
    @pytest.mark.parametrize("age", [None, 0.0, 3.0, 24.0])
    def test_clean(self, protocol, age):
        assert self.wrong(protocol, age, seen_at=age) == set()

    @BOTH
    @pytest.mark.parametrize(("age", "later"), [(0.0, 3.0), (3.0, 8.0), (3.0, None)])
    def test_a_later_event_or_snapshot(self, protocol, age, later):
        assert self.wrong(protocol, age, seen_at=later) >= {"events", "counter view"}

    def test_a_snapshot_after_the_own_window(self):
        videos, events, counters = random_feedback()
        protocol = Protocol(horizon_hours=40)
        popularity = measure_popularity(videos, events, protocol).frame
        longer = popularity.with_columns(pl.col("observed_until") + 10 * 3_600_000)
        windows = windows_at(videos["item"].to_list(), [None] * len(videos), longer)
        counted = counter_columns(windows, counters, longer, protocol, ["view"])
        table = table_of(videos.select("item"), counted, WindowColumns([], {}, {}, [], ["view"]))
        assert list(check_window_table(table, popularity, None, events, counters, protocol)) == [
            "counter view at the own window"
        ]
