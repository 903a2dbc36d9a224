"""What a model is trained again for."""

from __future__ import annotations

import pytest

from assets.engine.store_access import open_store
from assets.metadata.window_columns import WindowColumns
from assets.prediction import trained_models
from assets.prediction.trained_models import TrainedModel, model_fingerprint

NARROW = WindowColumns(["fps"], {"language": ["en"]}, {}, ["like"], [])
WIDER = WindowColumns(["fps"], {"language": ["en", "is"]}, {}, ["like"], [])


@pytest.mark.parametrize(
    ("predictor", "use_metadata", "differs"),
    [
        ("boosting", "false", True),
        ("boosting_content", "false", True),
        ("m3tr", "false", False),
        ("m3tr", "true", True),
    ],
)
def test_another_vocabulary_is_another_model_of_predictors_that_read_the_table(
    settings_of, monkeypatch, predictor, use_metadata, differs
):
    settings, hashes = settings_of(model__use_metadata=use_metadata), []
    monkeypatch.setattr(trained_models, "versions", lambda store: {})
    for columns in (NARROW, WIDER):
        monkeypatch.setattr(trained_models, "columns_in_service", lambda store, columns=columns: (None, columns))
        hashes.append(model_fingerprint(open_store(settings), settings, TrainedModel(predictor, 0), code=1).hash)
    assert (hashes[0] != hashes[1]) == differs
