"""Networks that are trained side by side, each in a process of its own."""

from __future__ import annotations

import pytest
import torch

from assets.engine.store_access import open_store
from assets.prediction import training_processes
from assets.prediction.trained_models import FOLDER, TrainedModel, artifact_of
from assets.prediction.training_processes import WORTH, side_by_side

MODELS = [TrainedModel("m3tr", 0), TrainedModel("m3tr", 1), TrainedModel("boosting", 0), TrainedModel("boosting", 1)]


def test_networks_are_worth_a_process_where_two_can_run_and_the_set_is_large(settings_of):
    two = settings_of(run__training_processes="2", encoders__device="cpu")
    assert side_by_side(two, MODELS, windows=WORTH) == MODELS[:2]
    assert side_by_side(two, MODELS, windows=WORTH - 1) == []
    assert side_by_side(two, MODELS[1:], windows=WORTH) == []
    one = settings_of(run__training_processes="1", encoders__device="cpu")
    assert side_by_side(one, MODELS, windows=WORTH) == []


@pytest.mark.slow
def test_models_are_the_same_side_by_side_and_one_after_the_other(tmp_path, settings_of, materialise, monkeypatch):
    weights = []
    for processes in (1, 2):
        monkeypatch.setattr(training_processes, "WORTH", 1)
        settings = settings_of(
            store__path=str(tmp_path / f"store-{processes}"),
            run__training_processes=str(processes),
            model__train='["m3tr"]',
            model__seeds="[0, 1]",
            encoders__device="cpu",
        )
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            assert materialise(settings, "*popularity_model").success
        finally:
            torch.set_num_threads(threads)
        store = open_store(settings)
        for model in MODELS[:2]:
            with artifact_of(store, model).current().reading() as kept:
                weights.append(torch.load(kept / FOLDER / "weights.pt", weights_only=True))
    for one, other in ((0, 2), (1, 3)):
        assert weights[one].keys() == weights[other].keys()
        assert all(torch.equal(weights[one][name], weights[other][name]) for name in weights[one])
    assert not torch.equal(weights[0]["absent"], weights[1]["absent"])
