"""MTIN's routing, its masks' gradients, and its start."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.recommenders.decayed_sums import decayed_sums
from models.recommenders.interest_memory import interest_centres
from models.recommenders.mtin import MTINConfig, MTINNetwork
from models.recommenders.mtin_routing import route_groups
from tests.models.recommenders.click_batches import SIZES, random_batch
from tests.models.recommenders.mtin_reference import routed


@pytest.mark.parametrize(("rounds", "base", "threshold"), [(1, 2.0, 0.1), (3, 2.0, 0.4), (5, 1.2, 0.6), (4, 10.0, 0.0)])
def test_the_compiled_routing_is_the_algorithms(rounds, base, threshold):
    random = np.random.default_rng(0)
    scores, length = random.random((40, 30, 4)), random.integers(0, 31, 40)
    group, discount = route_groups(scores, length, rounds=rounds, base=base, threshold=threshold)
    for row, n in enumerate(length):
        expected = routed(scores[row, :n], rounds=rounds, base=base, threshold=threshold)
        assert group[row, :n].tolist() == expected.tolist()
        assert (group[row, n:] == -1).all()
    assert (discount >= 1).all()
    assert threshold == 0.0 or (group[:, :5] == -1).any()


def test_another_base_would_be_noticed():
    scores, length = np.random.default_rng(0).random((40, 30, 4)), np.full(40, 30)
    assert (route_groups(scores, length, base=2.0)[0] != route_groups(scores, length, base=1.1)[0]).any()


def test_the_discount_is_that_of_the_clicks_last_visit():
    # Round 1: both go to group 0. Then avg = 0.7, and the second click has xi = log2(2 + 0.7 - 0.5).
    _, discount = route_groups(np.array([[[0.9], [0.5]]]), np.array([2]), rounds=2)
    assert discount[0].tolist() == pytest.approx([1.0, np.log2(2 + 0.7 - 0.5)])


def test_decayed_sums_have_the_derivatives_of_their_values():
    torch.manual_seed(0)
    x, rate = torch.randn(2, 6, 3).double().requires_grad_(), torch.rand(4).double().requires_grad_()
    following = torch.tensor([[2, 3, 4, -1, -1, -1], [1, 2, 3, 4, 5, -1]])
    gap = torch.rand(2, 6).double()
    assert torch.autograd.gradcheck(lambda x, rate: decayed_sums(x, following, gap, rate), (x, rate))


def started(*, route_gradient: bool) -> MTINNetwork:
    config = MTINConfig(width=4, groups=2, route_gradient=route_gradient)
    network = MTINNetwork(config, SIZES).double().eval()
    with torch.no_grad():
        for name, weight in network.named_parameters():
            weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(len(name))))
    torch.manual_seed(0)
    network.start([random_batch()], seed=0)
    return network


def test_a_trained_routing_begins_as_the_one_of_the_start():
    batch, networks = random_batch(), [started(route_gradient=kind) for kind in (True, False)]
    with torch.no_grad():
        for name in ("clicked", "skipped"):
            found = [network.interests(batch, side=name) for network in networks]
            assert torch.equal(found[0].group, found[1].group)
            np.testing.assert_allclose(found[0].user, found[1].user, rtol=1e-9)


def test_groups_stay_as_they_began_unless_the_routing_is_trained():
    batch = random_batch()
    for route_gradient in (False, True):
        network = started(route_gradient=route_gradient)
        before = network.interests(batch)
        with torch.no_grad():
            network.items.content.weight.add_(torch.randn(4, SIZES.content))
            network.sides["clicked"].memory.weight.add_(torch.randn(SIZES.users, 8))
        after = network.interests(batch)
        assert torch.equal(before.score, after.score) != route_gradient
        assert not torch.equal(before.user, after.user)


def test_the_start_gives_each_user_the_centres_of_the_own_clicks():
    network, batch = MTINNetwork(MTINConfig(width=4, groups=2), SIZES).double(), random_batch()
    network.start([batch], seed=0)
    with torch.no_grad():
        clicks = batch.clicked.gather(network.items(batch))[0].numpy()
    memory = network.sides["clicked"].memory.weight[batch.user[0]].detach().numpy().reshape(2, 4)
    np.testing.assert_allclose(memory, interest_centres(clicks, 2, seed=0), atol=1e-12)


def test_users_without_a_click_start_from_the_centres_of_the_others():
    network, batch = MTINNetwork(MTINConfig(width=4, groups=2), SIZES).double(), random_batch()
    network.start([batch], seed=0)
    memory = network.sides["clicked"].memory.weight.detach()
    known = memory[[0, 1, 3]].reshape(-1, 4).numpy()  # user 4 of the batch has no click, user 2 is not in it
    assert torch.equal(memory[2], memory[4])
    np.testing.assert_allclose(memory[2].reshape(2, 4), interest_centres(known, 2, seed=0), atol=1e-12)


def test_a_shared_memory_is_matched_by_distance_too():
    network = MTINNetwork(MTINConfig(width=4, groups=2, memory="shared"), SIZES).double()
    before = network.sides["clicked"].memory.weight.detach().clone()
    network.start([random_batch()], seed=0)
    assert torch.equal(network.sides["clicked"].memory.weight, before)
    assert (network.sides["clicked"].match.attention.bias == 1).all()


def test_matching_starts_as_a_distance():
    network, batch = MTINNetwork(MTINConfig(width=32, groups=2), SIZES).double(), random_batch()
    network.start([batch], seed=0)
    centre = torch.randn(1, 2, 32).double()
    near = centre[:, :1] + torch.linspace(0, 3, 7)[:, None].double() * torch.nn.functional.normalize(
        torch.randn(1, 32), dim=1
    )
    scores = network.sides["clicked"].match(near, centre)[0, :, 0].detach()
    assert scores[0].item() == pytest.approx(3.0)
    assert (scores.diff() < 0).all()


def test_centres_of_few_distinct_clicks_are_the_clicks():
    assert interest_centres(np.array([[1.0], [1.0], [3.0]]), 4, seed=0).ravel().tolist() == [1.0, 3.0, 1.0, 3.0]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"base": 1.0}, "base must be above 1, given 1.0"),
        ({"mask": "soft"}, "mask must be one of binary, weighted, given 'soft'"),
        ({"threshold": 2.0}, r"threshold must lie in \[0, 1\], given 2.0"),
    ],
)
def test_options_out_of_range_are_refused(options, told):
    with pytest.raises(ValueError, match=told):
        MTINConfig(**options)
