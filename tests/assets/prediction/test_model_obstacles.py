"""Predictors that cannot be fitted to the data are left out with their reason; a variant is a row of its own."""

from __future__ import annotations

import json

import pytest

from assets.engine.store_access import open_store
from assets.prediction.model_obstacles import fitted_models, read_obstacles
from models.predictors.boosting import Boosting, BoostingWithContent

WHY = "has no authors"
SILENT = {"predictor": "boosting", "title": "shallow boosting", "options": {"depth": 2}}


@pytest.fixture
def no_content(monkeypatch):
    """Boosting with content that finds an obstacle in any data."""
    monkeypatch.setattr(BoostingWithContent, "obstacle", lambda self, train, bank: WHY)


@pytest.mark.slow
def test_a_predictor_with_an_obstacle_has_no_row_and_the_others_have(settings_of, materialise, no_content):
    settings = settings_of(
        model__train='["boosting", "boosting_content", "shallow", "stack"]',
        model__variants=json.dumps({"shallow": SILENT}),
        model__seeds="[0]",
    )
    assert materialise(settings, ["*popularity_model", "evaluation"]).success
    store = open_store(settings)
    assert read_obstacles(store).select("title", "reason").rows() == [("boosting + content", WHY)]
    assert [model.name for model in fitted_models(store, settings)] == ["boosting", "shallow"]
    rows = set(store.table("evaluation").read()["predictor"])
    assert {"boosting", "shallow boosting", "stack"} <= rows
    assert "boosting + content" not in rows
    facts = store.artifact("popularity_model_shallow_0").current().metadata
    assert facts["parameters"] >= 1 and facts["peak_memory_mb"] > 10


@pytest.mark.slow
def test_the_run_stops_where_nothing_is_left(settings_of, materialise, no_content, monkeypatch):
    monkeypatch.setattr(Boosting, "obstacle", lambda self, train, bank: WHY)
    settings = settings_of(model__train='["boosting", "boosting_content"]', model__seeds="[0]")
    result = materialise(settings, ["*popularity_model"])
    assert not result.success
    failure = result.failure_data_for_node("popularity_model").error.cause
    assert "no predictor of model.train can be fitted" in failure.message


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ({"m3tr": SILENT}, "no predictor has"),
        ({"a": {**SILENT, "predictor": "cnn"}}, "unknown predictor 'cnn'"),
        ({"a": {**SILENT, "options": {"deep": 2}}}, "the variant a: 'deep' is unknown"),
        ({"a": {**SILENT, "title": "stack"}}, "which another row has"),
        ({"a": {**SILENT, "names": 1}}, "has a field 'names'; allowed: predictor, title, options"),
    ],
    ids=["name", "predictor", "option", "title", "field"],
)
def test_a_wrong_variant_is_refused_with_what_is_allowed(settings_of, variants, message):
    with pytest.raises(ValueError, match=message):
        settings_of(model__variants=json.dumps(variants))
