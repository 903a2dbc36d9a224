"""What every process promises: left limits, ignored padding, an exact clock."""

import pytest
import torch

from models.events import EventBatch
from models.hawkes import ExponentialHawkes, MambaHawkesProcess


def processes():
    torch.manual_seed(0)
    made = [ExponentialHawkes(3), ExponentialHawkes(3, decays=2, shared=True)]
    made += [MambaHawkesProcess(3, intensity=form, hidden=8, state=4, decays=2).double() for form in ("m3tr", "mufm")]
    for process in made:
        for parameter in process.parameters():
            parameter.data.add_(0.05 * torch.randn_like(parameter).abs())
    return made


@pytest.fixture(params=range(4), ids=["exponential", "shared", "m3tr", "mufm"])
def process(request):
    return processes()[request.param].eval()


def batch():
    return EventBatch.from_sequences([[0.5, 1.0, 1.0, 3.0], [], [0.2]], [[0, 1, 2, 1], [], [2]], t_end=[5.0, 2.0, 0.2])


def test_likelihood_does_not_depend_on_batch_mates(process):
    together = process.log_likelihood(batch())
    alone = torch.cat([process.log_likelihood(batch()[[row]]) for row in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)
