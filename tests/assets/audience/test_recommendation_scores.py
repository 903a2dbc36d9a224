"""The audience's stages on a small set: scores, what they add to the table of windows, and planted leaks."""

import json

import dagster as dg
import numpy as np
import polars as pl
import pytest

from assets.audience.item_content import item_content
from assets.audience.recommendation_scores import check_scores, read_scores, score_items
from assets.audience.sasrec import fitted_sasrec, fold_of, sasrec_is_fitted_on_training_items, without_fold
from assets.audience.user_histories import read_histories
from assets.engine.refit_policy import fitted_on
from assets.engine.store_access import open_store
from assets.metadata.item_metadata import item_metadata
from assets.protocol.fitted_on_training import check_fitted
from assets.protocol.splits import items_of, read_splits
from assets.settings import Settings
from storage.store import Store

pytestmark = pytest.mark.slow  # the fixture runs thirteen stages

STAGES = [
    "videos",
    "interactions",
    "counters",
    "popularity",
    "frames",
    "splits",
    "visual_embeddings",
    "text_embeddings",
]
STAGES += ["metadata_features", "author_history"]
AUDIENCE = ["user_histories", "sasrec", "recommendation_scores"]


def run(settings: Settings, *names: str) -> dg.ExecuteInProcessResult:
    from pipeline.definitions import ASSET_CHECKS, ASSETS

    selection = dg.AssetSelection.assets(*names)
    return dg.materialize([*ASSETS, *ASSET_CHECKS], selection=selection, resources={"settings": settings})


def settings_in(folder, plain_set, **further: str) -> Settings:
    from pipeline.settings import load
    from tests.assets.conftest import QUICK

    own = {
        "DATA__FOLDER": str(plain_set),
        "STORE__PATH": str(folder / "store"),
        "STORE__RESULTS": str(folder / "results"),
        "AUDIENCE__TRAIN": '["sasrec"]',
        "AUDIENCE__FOLDS": "2",
        "AUDIENCE__OPTIONS": json.dumps({"sasrec": {"epochs": 1, "width": 16, "layers": 1}}),
        **further,
    }
    return load(environment={**QUICK, **{f"REELCAST_{name}": value for name, value in own.items()}})


@pytest.fixture(scope="module")
def ran(tmp_path_factory, plain_set) -> Settings:
    settings = settings_in(tmp_path_factory.mktemp("audience"), plain_set)
    assert run(settings, *STAGES, *AUDIENCE).success
    return settings


@pytest.fixture
def store(ran) -> Store:
    return open_store(ran)


def test_every_video_has_a_score_and_the_table_of_windows_has_it_as_a_column(ran, store):
    frame, everything = read_scores(store), item_metadata(store, ran.metadata)
    assert frame["item"].to_list() == everything["item"].to_list() and frame["logit"].null_count() == 0
    assert everything["recommendation_score"].equals(frame["logit"].alias("recommendation_score"))
    np.testing.assert_allclose(frame["score"], 1 / (1 + np.exp(-frame["logit"].to_numpy())))
    assert frame["logit"].n_unique() > 50


def test_removing_every_event_of_test_items_leaves_the_scores_unchanged(ran, store):
    kept, models = read_histories(store), fitted_sasrec(store)[1]
    histories, frame = kept.histories, read_scores(store)
    of_test = np.isin(histories.items[histories.item], items_of(read_splits(store), "val", "test"))
    assert of_test.any() and not (of_test & kept.observed).any()
    own = histories.only(kept.observed & ~of_test)
    again = score_items(store, models, own, frame["item"].to_list())
    np.testing.assert_allclose(again["logit"], frame["logit"], atol=1e-5)
    backwards = score_items(store, models, own, frame["item"].to_list()[::-1])
    assert backwards["item"].to_list() == frame["item"].to_list()[::-1]
    np.testing.assert_allclose(backwards["logit"][::-1], frame["logit"], atol=1e-5)


def test_a_training_items_own_clicks_do_not_change_its_score(ran, store):
    kept, models = read_histories(store), fitted_sasrec(store)[1]
    histories, frame = kept.histories.only(kept.observed), read_scores(store)
    item = histories.items[histories.item[0]]
    without = histories.only(histories.items[histories.item] != item)
    own = int(fold_of([item], 2)[0])
    before = score_items(store, models, histories, frame["item"].to_list()).filter(pl.col("item") == item)["logit"][0]
    features = item_content(store, histories.items.tolist())
    others = models[own].mean_scores(without_fold(without, own, 2), features)[0][histories.item[0]]
    assert before == pytest.approx(others, abs=1e-5)
    assert set(fold_of(histories.items.tolist(), 2)) == {0, 1}


def test_a_score_from_all_exposures_is_found(ran, store):
    kept, models = read_histories(store), fitted_sasrec(store)[1]
    frame = read_scores(store)
    assert check_scores(store, ran, frame, models).passed
    leaked = score_items(store, models, kept.histories, frame["item"].to_list())
    result = check_scores(store, ran, leaked, models)
    assert not result.passed and result.metadata["wrong"].value > 50


def test_a_model_that_was_fitted_on_a_test_item_is_found(ran, store):
    assert sasrec_is_fitted_on_training_items(ran).passed
    with store.artifact("sasrec").current().reading() as folder:
        fitted = fitted_on(folder)
    moved = read_splits(store).with_columns(
        pl.when(pl.col("item") == fitted["exposures"][0]).then(pl.lit("test")).otherwise("split").alias("split")
    )
    assert not check_fitted(fitted, moved).passed


def test_a_second_run_fits_nothing_again(ran, store):
    before = store.artifact("sasrec").current().version
    assert run(ran, *AUDIENCE).success
    assert store.artifact("sasrec").current().version == before


def test_switched_off_the_stages_do_nothing_and_the_column_is_gone(tmp_path, plain_set, ran, store):
    off = settings_in(tmp_path, plain_set, AUDIENCE__TRAIN="[]", STORE__PATH=ran.store.path)
    assert run(off, *AUDIENCE).success
    assert read_scores(store) is None
    assert "recommendation_score" not in item_metadata(store, off.metadata).columns
    assert run(ran, *AUDIENCE).success
    assert read_scores(store) is not None
