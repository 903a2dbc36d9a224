"""Single sequences continued without PyTorch: the events are those of `simulate`, event by event."""

import numpy as np
import pytest
import torch

from models.events import EventBatch
from models.hawkes import ExponentialHawkes, MambaHawkesProcess
from models.single_thinning import SingleThinning
from models.thinning import SimulationError, simulate


def process(**config):
    torch.manual_seed(0)
    made = MambaHawkesProcess(3, hidden=8, state=4, **config)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        made.time_scale.fill_(1.7)
        made.excitation.branching.abs_()
    return made.eval()


def observed():
    return EventBatch.from_sequences(
        [[], [0.5, 1.0, 1.0], [2.0]], [[], [0, 2, 1], [1]], t_end=[4.0, 3.0, 2.0], t_start=[0.0, 0.25, 0.0]
    )


@pytest.mark.parametrize("history", ["updated", "frozen"])
@pytest.mark.parametrize(
    "config", [{}, {"log_gaps": False}, {"shared_decays": True, "decays": 2}, {"decays": 2}, {"softness": None}]
)
def test_the_events_are_those_of_the_general_simulation(config, history):
    made, batch = process(**config), observed()
    given = {"length": torch.tensor([70, 3, 90]), "until": torch.tensor([400.0, 90.0, 30.0]), "seeds": [5, 6, 7]}
    single = SingleThinning(made)(batch, **given, history=history)
    general = simulate(made, batch, **given, history=history, allow_unstable=True)
    assert general.lengths.sum() > 20 and general.lengths[1] == 3
    assert torch.equal(single.lengths, general.lengths)
    np.testing.assert_allclose(single.t_end, general.t_end, rtol=1e-10)
    for row, length in enumerate(general.lengths.tolist()):
        np.testing.assert_allclose(single.times[row, :length], general.times[row, :length], rtol=1e-10)
        assert torch.equal(single.types[row, :length], general.types[row, :length])


def test_another_seed_gives_other_events():
    made, batch = process(), observed()
    given = {"length": torch.tensor([9, 9, 9]), "until": torch.full((3,), 1e6), "history": "updated"}
    first, second = (SingleThinning(made)(batch, **given, seeds=seeds) for seeds in ([1, 2, 3], [1, 2, 4]))
    assert torch.equal(first.times[:2], second.times[:2]) and not torch.equal(first.times[2], second.times[2])


def test_an_intensity_that_is_not_finite_is_an_error():
    made = process()
    with torch.no_grad():
        made.baseline[0] = torch.nan
    with pytest.raises(SimulationError, match="not a finite number"):
        SingleThinning(made)(
            observed(), length=torch.full((3,), 9), until=torch.full((3,), 1e3), seeds=[1, 2, 3], history="updated"
        )


@pytest.mark.parametrize(
    "config", [{"layers": 2}, {"intensity": "mufm"}, {"input_rule": "zoh"}, {"count_scales": 2}, {"clock_periods": 2}]
)
def test_other_processes_are_left_to_the_general_simulation(config):
    assert not SingleThinning.expressible(MambaHawkesProcess(3, hidden=8, **config))
    assert not SingleThinning.expressible(ExponentialHawkes(3))
    assert SingleThinning.expressible(process())
