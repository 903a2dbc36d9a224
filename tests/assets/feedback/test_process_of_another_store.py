"""A process that was fitted on another store."""

import polars as pl
import pytest

from assets.engine.store_access import open_store
from assets.feedback.hawkes_process import fitted_process, load_encoder
from storage.durable import StoreError

STAGES = ["videos", "interactions", "counters", "popularity", "frames", "splits", "hawkes_process"]


def weights_of(settings):
    encoder = load_encoder(fitted_process(open_store(settings))[0])
    return encoder, dict(encoder.process.state_dict())


@pytest.mark.slow
def test_the_other_stores_process_is_used_as_it_is_and_the_scale_of_the_rows_is_fitted_here(
    settings_of, materialise, tmp_path, plain_set
):
    there = settings_of(store__path=str(tmp_path / "there"))
    assert materialise(there, STAGES).success
    folder = tmp_path / "set"
    folder.mkdir()
    pl.read_csv(plain_set / "videos.csv").write_csv(folder / "videos.csv")
    events = pl.read_csv(plain_set / "events.csv")
    events = events.with_columns(pl.col("type").replace({"like": "share"}))  # a type that the process does not know
    events.filter(pl.col("item") > 20).write_csv(folder / "events.csv")
    here = settings_of(data__folder=str(folder), process__from_store=there.store.path)
    assert materialise(here, STAGES).success
    (own, own_weights), (other, other_weights) = weights_of(here), weights_of(there)
    assert own_weights.keys() == other_weights.keys()
    assert all(own_weights[name].equal(other_weights[name]) for name in own_weights)
    assert any(not own.state_dict()[name].equal(values) for name, values in other.state_dict().items())
    version, fitted = fitted_process(open_store(here))
    assert fitted["types"] == ["comment", "like"] and "process" not in fitted
    assert version.metadata["dropped_events"] > 0
    # an unchanged process elsewhere changes nothing here
    assert materialise(here, STAGES).success
    assert fitted_process(open_store(here))[0].version == version.version


def test_a_store_without_a_process_is_refused(settings_of, materialise, tmp_path):
    from assets.feedback.process_of_another_store import open_process

    with pytest.raises(StoreError, match=r"process.from_store: .*empty holds no fitted process"):
        open_process(str(tmp_path / "empty"), ["like"], name="hawkes_process", folder="encoder")
