"""A process comes back from its folder as it was, and a folder without one is refused."""

import json

import pytest
import torch

from models.hawkes import load, save
from tests.models.hawkes.conftest import make_batch


def test_a_process_comes_back_bit_for_bit(process, tmp_path):
    save(process, tmp_path / "deep" / "process")
    back = load(tmp_path / "deep" / "process")
    assert type(back) is type(process) and back.config() == process.config() and not back.training
    batch = make_batch()
    assert torch.equal(back.log_likelihood(batch), process.log_likelihood(batch))


def test_saving_again_replaces(process, tmp_path):
    save(process, tmp_path)
    name, parameter = next(process.named_parameters())
    parameter.data.add_(1.0)
    save(process, tmp_path)
    assert torch.equal(load(tmp_path).get_parameter(name), parameter)
    parameter.data.sub_(1.0)


def test_a_folder_without_a_process_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds no process: there is no process\.json"):
        load(tmp_path)
    (tmp_path / "process.json").write_text(json.dumps({"kind": "weibull"}))
    with pytest.raises(ValueError, match="kind 'weibull'; allowed: exponential, mamba"):
        load(tmp_path)
