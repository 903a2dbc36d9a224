"""A run that was killed while it trained a model continues that training when it is started again."""

from __future__ import annotations

import pytest
import torch

from assets.engine.store_access import open_store
from assets.prediction.trained_models import FOLDER, TrainedModel, artifact_of
from assets.prediction.training_checkpoints import checkpoint_of
from models.predictors.checkpoints import Checkpoint

MODEL = TrainedModel("m3tr", 0)


class Killed(Exception):
    """Stands for a kill."""


@pytest.mark.slow
def test_a_killed_run_continues_its_training(tmp_path, settings_of, materialise, monkeypatch):
    """The model is the one of a run that nobody killed, and of the second run's passes the first come from the checkpoint."""
    write, weights, steps = Checkpoint.write_if_due, [], 0

    def kill_at_step_two(checkpoint: Checkpoint, state) -> None:
        nonlocal steps
        checkpoint._wait, steps = 0.0, steps + 1
        write(checkpoint, state)
        if steps == 2:
            raise Killed

    for kill in (False, True):
        settings = settings_of(
            store__path=str(tmp_path / f"store-{kill}"),
            model__train='["m3tr"]',
            model__seeds="[0]",
            model__max_epochs="4",
            encoders__device="cpu",
        )
        if kill:
            monkeypatch.setattr(Checkpoint, "write_if_due", kill_at_step_two)
            assert not materialise(settings, "*popularity_model").success
            monkeypatch.setattr(Checkpoint, "write_if_due", write)
            own = checkpoint_of(open_store(settings), settings, MODEL)
            assert own.read()["losses"] or own.read()["report"]["epochs"]
            other = settings.model_copy(update={"model": settings.model.model_copy(update={"gamma": 0.3})})
            assert checkpoint_of(open_store(other), other, MODEL).fingerprint != own.fingerprint
        assert materialise(settings, "*popularity_model").success
        store = open_store(settings)
        assert not list(store.root.glob("training/*"))
        with artifact_of(store, MODEL).current().reading() as kept:
            weights.append(torch.load(kept / FOLDER / "weights.pt", weights_only=True))
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
