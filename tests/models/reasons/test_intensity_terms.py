"""The terms of an intensity sum up inside the link, and are those of a slow sum over the past events."""

import math

import numpy as np
import pytest
import torch

from models.events import EventBatch
from models.reasons.intensity_terms import intensity_terms
from tests.models.hawkes.conftest import make_batch, make_process

KINDS = ("exponential", "shared decays", "m3tr", "m3tr shared", "mufm")


def slow_excitation(process, times, types, at: float) -> np.ndarray:
    """Eq. 1's double sum by type of the past event, (k, k), one event at a time."""
    k = process.num_types
    scale = float(getattr(process, "time_scale", 1.0))
    added = np.zeros((k, k))
    for when, kind in zip(times, types, strict=True):
        if when >= at:
            continue
        for excited in range(k):
            for r in range(process.excitation.decays):
                rate = process.excitation.log_rate.exp()
                delta = float(rate[0, 0, r] if process.excitation.shared else rate[excited, kind, r])
                height = float(process.excitation.branching[excited, kind, r]) * delta
                added[excited, kind] += height * math.exp(-delta * (at - when) / scale)
    return added


@pytest.mark.parametrize("kind", KINDS)
def test_the_terms_sum_to_the_argument_and_the_intensity_follows(kind):
    process, batch = make_process(kind), make_batch(ties=True)
    at = torch.tensor([[0.1, 2.0, 5.0]] * len(batch), dtype=torch.float64)
    terms = intensity_terms(process, batch, at)
    torch.testing.assert_close(terms.argument, sum(process.components(batch, at)), rtol=0, atol=1e-10)
    torch.testing.assert_close(terms.intensity, process.intensity(batch, at), rtol=0, atol=1e-10)
    torch.testing.assert_close(terms.stacked.sum(-1) * terms.time_scale, terms.argument, rtol=0, atol=1e-10)
    torch.testing.assert_close(terms.shares.sum(-1), torch.ones_like(terms.argument), rtol=0, atol=1e-10)
    if process.excitation is None:
        assert not terms.excitation.any()
        return
    for row in range(len(batch)):
        length = int(batch.lengths[row])
        times, types = batch.times[row, :length].tolist(), batch.types[row, :length].tolist()
        for place, time in enumerate(at[row].tolist()):
            slow = slow_excitation(process, times, types, time)
            np.testing.assert_allclose(terms.excitation[row, place].numpy(), slow, rtol=0, atol=1e-10)
        torch.testing.assert_close(terms.by_event[row].sum(-1), terms.excitation[row].sum(-1), rtol=0, atol=1e-10)
        assert not terms.by_event[row, :, :, length:].any()


def test_a_planted_type_has_the_excitation():
    """Only events of type 1 excite; whatever else happened has no share."""
    process = make_process("m3tr")
    process.excitation.branching.data[:, [0, 2]] = 0.0
    batch = EventBatch.from_sequences([[1.0, 2.0, 2.5]], [[0, 1, 2]], t_end=[3.0])
    terms = intensity_terms(process, batch, torch.tensor([[3.0]], dtype=torch.float64))
    assert not terms.excitation[..., [0, 2]].any() and (terms.excitation[..., 1] > 0).all()
    assert (terms.by_event[0, 0, :, 1] > 0).all() and not terms.by_event[0, 0, :, [0, 2]].any()


def test_without_a_term_the_intensity_is_that_of_a_process_without_it():
    process, batch = make_process("m3tr"), make_batch()
    at = torch.full((len(batch), 1), 4.0, dtype=torch.float64)
    terms = intensity_terms(process, batch, at)
    whole = process.intensity(batch, at)
    process.head.weight.data.zero_()
    torch.testing.assert_close(terms.left_out[..., -1], whole - process.intensity(batch, at), rtol=0, atol=1e-10)
    process.excitation.branching.data[:, 1] = 0.0
    both = intensity_terms(process, batch, at)
    torch.testing.assert_close(both.left_out[..., 2], torch.zeros_like(whole), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["neural", "poisson"])
def test_a_process_without_such_terms_is_refused(kind):
    with pytest.raises(ValueError, match="is no sum of terms; allowed: ExponentialHawkes, MambaHawkesProcess"):
        intensity_terms(make_process(kind), make_batch(), torch.ones(4, 1, dtype=torch.float64))
