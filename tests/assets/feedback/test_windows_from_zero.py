"""Forecasts at publication: nothing was seen yet, so there are no temporal rows, and neighbours are found by content."""

import polars as pl
import pytest

from assets.engine.store_access import open_store
from assets.feedback.hawkes_process import fitted_process, load_encoder
from assets.feedback.temporal_embeddings import CHECKED, check_windows
from assets.ingest.interactions import read_events
from assets.memory.feature_join import failed_items
from assets.memory.neighbours import read_neighbours
from assets.memory.temporal_keys import read_windows
from assets.prediction.predictor_inputs import samples_of
from assets.protocol.popularity import read_popularity
from tests.assets.conftest import HOUR, START


@pytest.fixture
def set_from_zero(plain_set, tmp_path):
    """The plain set with a like of every item at the very millisecond of its publication."""
    folder = tmp_path / "from_zero"
    folder.mkdir()
    videos, events = (pl.read_csv(plain_set / f"{name}.csv") for name in ("videos", "events"))
    first = videos.select("item", pl.lit("first").alias("user"), pl.lit("like").alias("type"), time="published_at")
    videos.write_csv(folder / "videos.csv")
    pl.concat([events, first]).write_csv(folder / "events.csv")
    return folder


def test_a_window_of_no_length_is_forecast_without_a_process(settings_of, materialise, set_from_zero):
    settings = settings_of(data__folder=str(set_from_zero), protocol__hours="0", model__seeds="[0]")
    result = materialise(settings)
    assert result.success
    store = open_store(settings)
    assert failed_items(store) == set()
    version, fitted = fitted_process(store)
    assert fitted == {"types": []} and load_encoder(version) is None
    (told,) = result.asset_materializations_for_node("hawkes_process")
    assert told.metadata["not_fitted_because"].value == "protocol.hours = 0, so no feedback is observed"
    assert store.table("popularity").read()["observed_events"].to_list() == [0] * 60
    states = store.stages()["temporal_embeddings"].states()
    assert set(states["status"]) == {"missing"} and len(states) == 60
    assert set(read_neighbours(store)["mode"]) == {"content"}
    table = store.table("evaluation").read()
    assert table.filter(pl.col("predictor") == "M3TR")["age_hours"].to_list() == [None]
    assert "log-linear extrapolation" not in set(table["predictor"])


@pytest.mark.slow
def test_age_zero_is_trained_on_and_compared_by_content_beside_older_ages(settings_of, materialise, set_from_zero):
    settings = settings_of(data__folder=str(set_from_zero), protocol__ages="[0, 3]")
    assert materialise(settings, ["*neighbours", "*window_columns"]).success
    store = open_store(settings)
    rows = store.stages()["temporal_embeddings"].read(columns=["younger", "younger_keys"]).to_pylist()
    at_zero = [window for row in rows for window in row["younger"] if window["age_hours"] == 0]
    assert len(at_zero) == 60 and not any(window["total"] or window["times"] for window in at_zero)
    assert all(not any(key) for row in rows for key in row["younger_keys"][:1])
    windows = pl.from_arrow(store.stages()["temporal_embeddings"].read(columns=list(CHECKED)))
    told = [read_events(store), read_popularity(store), settings, ["comment", "like"]]
    assert check_windows(windows, *told).passed
    leak = windows.to_dicts()
    leak[0]["younger"][0] |= {"total": 1, "observed": 1, "times": [0.0]}  # the like at the moment of publication
    assert not check_windows(pl.DataFrame(leak, schema=windows.schema), *told).passed
    younger = read_neighbours(store, younger=True)
    assert set(younger.filter(pl.col("age_hours") == 0)["mode"]) == {"content"}
    assert "composite" in set(younger.filter(pl.col("age_hours") == 3)["mode"])
    train = samples_of(store, settings, "train", age="all")
    ages = [window.held["age_hours"] for window in train.feedback.windows]
    # training shows windows of age 0; those of age 3 are only compared with
    assert ages.count(0.0) == len(set(train.items)) and 3.0 not in ages


def test_a_set_without_any_event_keeps_its_windows_and_ages_but_has_no_rows(settings_of, materialise):
    """Counters alone: what they show at an age needs the window of that age."""
    settings, items = settings_of(protocol__ages="[0, 3]"), [str(number) for number in range(12)]
    store = open_store(settings)
    events = pl.DataFrame(
        schema={"item": pl.String, "user": pl.String, "type": pl.String, "time": pl.Int64, "order": pl.Int64}
    )
    windows = pl.DataFrame({"item": items, "t0": START}).with_columns(
        observed_until=pl.col("t0") + 24 * HOUR, window_complete=True
    )
    sides = pl.DataFrame({"item": items, "split": ["train"] * 8 + ["val", "test", "test", "predict"]})
    for name, frame in (("interactions", events), ("popularity", windows), ("splits", sides)):
        store.table(name).write(frame, inputs_hash=name, fingerprint=name)
    result = materialise(settings, ["hawkes_process", "temporal_embeddings"])
    assert result.success
    (told,) = result.asset_materializations_for_node("hawkes_process")
    assert told.metadata["not_fitted_because"].value == "no training item has feedback in its observation window"
    rows = store.stages()["temporal_embeddings"].read().to_pylist()
    assert sorted(row["item"] for row in rows) == sorted(items)  # no failed row
    assert {(row["rows"], row["total"], row["age_hours"], len(row["times"])) for row in rows} == {(0, 0, 24.0, 0)}
    cut = {row["item"]: row["younger_hours"] for row in rows}
    assert cut["8"] == cut["9"] == [0.0, 3.0] and cut["11"] == [] and len(cut["0"]) == 4
    keys = read_windows(store, items, form="cosine")
    assert len(keys.row) == sum(len(ages) + 1 for ages in cut.values()) and not keys.heard.any() and not keys.key.any()
    again = materialise(settings, ["hawkes_process", "temporal_embeddings"])
    assert again.success and fitted_process(store)[0].version == 1
