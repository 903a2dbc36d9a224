import torch
from torch import nn

from models.weight_average import WeightAverage


class Network(nn.Module):
    """One free and one constrained weight."""

    def __init__(self):
        super().__init__()
        self.free, self.bounded = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))


def stepped(decay, steps):
    network = Network()
    average = WeightAverage(network, decay=decay, exact=[network.bounded])
    for step in range(1, steps + 1):
        with torch.no_grad():
            network.free.fill_(step)
            network.bounded.fill_(-step)
        average.update()
    return average.network


def test_the_average_follows_its_recurrence():
    expected = 1.0  # the first step is copied
    for step in range(2, 41):
        keep = min(0.6, step / (9 + step))
        expected = keep * expected + (1 - keep) * step
    assert abs(float(stepped(0.6, 40).free.detach()) - expected) < 1e-4


def test_without_decay_it_is_the_last_step():
    assert float(stepped(0.0, 7).free.detach()) == 7.0


def test_weights_with_a_constraint_are_those_of_the_last_step():
    assert float(stepped(0.9, 7).bounded.detach()) == -7.0


def test_the_network_in_training_keeps_its_own_weights():
    network = Network()
    average = WeightAverage(network, decay=0.9)
    with torch.no_grad():
        network.free.fill_(5.0)
    average.update()
    assert float(network.free.detach()) == 5.0 and average.network.free is not network.free
