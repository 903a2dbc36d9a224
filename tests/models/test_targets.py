"""The scales of the target: there and back, and what lies outside."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.targets import TRANSFORMS, forward, inverse


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=20), st.sampled_from(TRANSFORMS))
def test_the_inverse_brings_counts_back(counts, transform):
    assert inverse(forward(counts, transform), transform) == pytest.approx(np.array(counts, dtype=float), rel=1e-9)


@given(st.floats(-50, 20), st.sampled_from(TRANSFORMS))
def test_no_prediction_becomes_an_impossible_count(target, transform):
    assert inverse([target], transform)[0] >= (1 if transform == "log2" else 0)


@pytest.mark.parametrize(
    ("counts", "transform", "row"), [([3, -1], "raw", 1), ([0], "log2", 0), ([1, np.inf], "log2p1", 1)]
)
def test_a_count_outside_the_domain_is_named(counts, transform, row):
    with pytest.raises(ValueError, match=f"row {row}"):
        forward(counts, transform)


def test_an_unknown_transform_is_refused_with_those_allowed():
    with pytest.raises(ValueError, match="log2p1, log2, raw"):
        forward([1], "ln")
