"""A video's forecast without a store is the one that a run of the graph makes of it."""

import numpy as np
import polars as pl
import pytest

from assets.curves.forecast_curves import read_forecast_curves
from assets.curves.forecast_reasons import read_sentences
from assets.curves.new_video_curves import NewVideoCurves
from assets.curves.served_reasons import served_reasons
from assets.engine.store_access import open_store
from assets.ingest.counters import read_counters
from assets.ingest.interactions import read_events
from assets.ingest.videos import known_items
from assets.memory.neighbours import read_neighbours
from assets.prediction.new_video import NewVideo, content_rows
from assets.prediction.new_video_forecasts import NewVideoForecaster
from assets.prediction.predictions import read_predictions
from assets.protocol.splits import items_of, read_splits
from assets.sampling.decoded_video import DecodingOptions, decode_video
from models.reasons.sentence import sentence
from pipeline.demonstration import make
from storage.durable import StoreError

pytestmark = pytest.mark.slow  # the graph runs once on real files


@pytest.fixture(scope="module")
def small_set(tmp_path_factory):
    return make(tmp_path_factory.mktemp("demonstration") / "set", videos=24, uploads=4, workers=2)


def test_new_videos_get_the_forecasts_and_neighbours_of_the_table_predictions(small_set, settings_of, materialise):
    settings = settings_of(
        data__folder=str(small_set), sampling__frames="4", model__train='["m3tr", "boosting_content", "stack"]'
    )
    assert materialise(settings).success
    store = open_store(settings)
    forecaster = NewVideoForecaster(store, settings)
    rows = {row["item"]: row for row in known_items(store).iter_rows(named=True)}
    events, counters = read_events(store), read_counters(store).drop_nulls("time")
    end, options = forecaster.files.facts["data_end"], DecodingOptions.of(settings)

    def video(item: str, *, name: str | None = None) -> NewVideo:
        row, own = rows[item], pl.col("item") == item
        return NewVideo(
            item=name or item,
            at=end,
            title=row["title"],
            author=row["author"],
            category=row["category"],
            published_at=row["published_at"],
            events=events.filter(own).with_columns(item=pl.lit(name or item)),
            counters=counters.filter(own).with_columns(item=pl.lit(name or item)),
            decoded=decode_video(row["path"], options),
        )

    def forecasts(*videos: NewVideo):
        return forecaster.forecast(videos, content_rows(settings, videos))

    made, neighbours = read_predictions(store), read_neighbours(store)
    items = made["item"].unique(maintain_order=True).to_list()
    assert len(items) == 4
    new = forecasts(*map(video, items))
    for name in ("item", "target_name", "model", "counted_so_far", "seeds"):
        assert new.frame[name].to_list() == made[name].to_list()
    for name in ("predicted", "predicted_low", "predicted_high", "predicted_count"):
        assert new.frame[name].to_list() == pytest.approx(made[name].to_list(), abs=1e-4)
    stored = neighbours.filter(pl.col("item").is_in(items)).sort("item", "rank")
    found = new.neighbours.sort("item", "rank")
    for name in ("item", "neighbour", "mode"):
        assert found[name].to_list() == stored[name].to_list()
    assert found["label"].to_list() == pytest.approx(stored["label"].to_list())
    titles = {item: row["title"] for item, row in rows.items()}
    assert found["title"].to_list() == [titles[item] for item in found["neighbour"]]

    curve_model, curves = NewVideoCurves(store, settings, forecaster.files, new.rows), read_forecast_curves(store)
    sentences = read_sentences(store)
    for item in items:
        alone = forecasts(video(item))
        own = curves.filter(pl.col("item") == item).select(pl.col("^q\\d+$")).to_numpy()
        points = curve_model.curves(alone.rows, alone.samples, alone.members, at=end).counts[0, 0]
        np.testing.assert_allclose(points[~np.isnan(points).any(1)], own, atol=1e-4)
        reasons, _ = served_reasons(alone.rows, alone.samples, alone.forecasts)
        assert sentence(reasons) == sentences.filter(pl.col("item") == item)["sentence"][0]

    # a copy under another name finds what the original finds, and not the original
    (member, *_) = items_of(read_splits(store), "train")
    own = neighbours.filter(pl.col("item") == member).sort("rank")["neighbour"].to_list()
    assert member not in own
    assert forecasts(video(member, name="copy")).neighbours["neighbour"].to_list() == own

    longer = settings.model_copy(update={"protocol": settings.protocol.model_copy(update={"hours": 12.0})})
    with pytest.raises(StoreError, match=r"protocol\.hours: changed since the models were trained"):
        NewVideoForecaster(store, longer)
    other = settings.model_copy(update={"encoders": settings.encoders.model_copy(update={"text_profile": "light"})})
    with pytest.raises(StoreError, match="was built with"):
        _ = NewVideoForecaster(store, other).bank
