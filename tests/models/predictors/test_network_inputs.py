"""A network is given what it reads, and its neighbours' rows only if it reads them."""

from __future__ import annotations

import numpy as np
import pytest

from models.predictor_table import predictor_class
from tests.models.predictors.synthetic import make_world


@pytest.mark.parametrize(
    ("name", "reads_neighbours"),
    [
        ("m3tr", True),
        ("mmra", True),
        ("skapp", True),
        ("cban", False),
        ("clstm", False),
        ("hmmved", False),
        ("mlp", False),
    ],
)
def test_rows_of_neighbours_are_read_for_networks_that_use_them(name, reads_neighbours):
    world = make_world(items=40)
    network = predictor_class(name)().build(world.train)
    batch = network.minibatch(world.train, world.bank, np.arange(5))
    assert (batch.neighbours is not None) == reads_neighbours
    assert len(batch.target) == 5


def test_curation_without_retrieval_reads_no_neighbours():
    made = predictor_class("skapp")
    world = make_world(items=40)
    network = made(made.config_class(use_retrieval=False)).build(world.train)
    assert network.minibatch(world.train, world.bank, np.arange(5)).neighbours is None
