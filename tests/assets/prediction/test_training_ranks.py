"""Networks that several processes train together, started as torchrun starts them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from assets.engine.store_access import open_store
from assets.prediction.launch_ranks import first_failure
from assets.prediction.trained_models import FOLDER, TrainedModel, artifact_of
from assets.prediction.training_ranks import fit_on_ranks, training_devices

MODEL = TrainedModel("m3tr", 0)


def test_devices_follow_the_setting(settings_of, monkeypatch):
    def devices(device: str, count: int) -> list[str]:
        return training_devices(settings_of(encoders__device=device, run__training_devices=str(count)))

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert devices("cpu", 1) == devices("cpu", 0) == ["cpu"]
    assert devices("cpu", 2) == ["cpu", "cpu"]
    assert devices("cuda", 1) == ["cuda"]
    assert devices("cuda", 2) == ["cuda:0", "cuda:1"]
    assert len(devices("cuda", 0)) == 4
    assert devices("cuda:1", 1) == ["cuda:1"]
    with pytest.raises(
        ValueError, match=r"run\.training_devices is 5, but this machine has 4 GPUs; 0 takes all of them"
    ):
        devices("cuda", 5)
    with pytest.raises(
        ValueError, match=r"run\.training_devices is 2, but encoders\.device names one device, 'cuda:1'"
    ):
        devices("cuda:1", 2)


def failed(folder: Path, number: int, *, exitcode: int = 1, at: int = 5, error: str = "") -> ProcessFailure:
    """What the launcher knows of a failed process."""
    file = folder / f"error-{number}.json"
    if error:
        told = {"message": error, "extraInfo": {"py_callstack": "Traceback", "timestamp": str(at)}}
        file.write_text(json.dumps({"message": told}))
    return ProcessFailure(local_rank=number, pid=100 + number, exitcode=exitcode, error_file=str(file))


def test_the_cause_is_named_and_not_what_followed_from_it(tmp_path):
    cause = failed(tmp_path, 1, at=9, error="ValueError: two\nlines")
    lost = failed(tmp_path, 0, at=3, error="RuntimeError: [gloo/transport/tcp/pair.cc] Connection closed by peer")
    assert first_failure({0: lost, 1: cause}) == "process 1: ValueError: two lines"
    killed = failed(tmp_path, 2, exitcode=-9)
    assert first_failure({0: lost, 1: cause, 2: killed}).startswith("process 2: Signal 9 (SIGKILL) received by PID 102")


@pytest.mark.slow
def test_two_processes_give_the_model_of_one_and_a_failure_is_one_line(tmp_path, settings_of, materialise):
    alone = settings_of(model__train='["m3tr"]', model__seeds="[0]", encoders__device="cpu")
    assert materialise(alone, "*popularity_model").success
    with artifact_of(open_store(alone), MODEL).current().reading() as kept:
        expected = torch.load(kept / FOLDER / "weights.pt", weights_only=True)
    given = {"model__train": '["m3tr"]', "model__seeds": "[0]", "encoders__device": "cpu", "run__training_devices": "2"}
    passes = []
    (tmp_path / "two").mkdir()
    report = fit_on_ranks(settings_of(**given), MODEL, tmp_path / "two", progress=passes.append)
    weights = torch.load(tmp_path / "two" / MODEL.artifact / "weights.pt", weights_only=True)
    assert sum(passes) == len(report.epochs) == 2
    for name, value in expected.items():
        torch.testing.assert_close(weights[name], value, rtol=1e-4, atol=1e-4)
    assert not list((open_store(alone).root / "training").glob("*"))
    (tmp_path / "failed").mkdir()
    with pytest.raises(RuntimeError, match="the loss is not finite") as error:
        broken = settings_of(**given, model__learning_rate="1e30")
        fit_on_ranks(broken, MODEL, tmp_path / "failed", progress=passes.append)
    assert "M3TR, seed 0: the training by 2 processes ended: process" in str(error.value)
    assert "\n" not in str(error.value)
