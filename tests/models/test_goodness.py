"""Time rescaling: residuals by hand, and the power to reject a wrong process."""

import math

import pytest
import torch

from models.events import EventBatch
from models.goodness import time_rescaling
from models.hawkes import ExponentialHawkes
from models.thinning import simulate


def poisson(*rates):
    process = ExponentialHawkes(len(rates), shared=True).requires_grad_(False)
    process.baseline.copy_(torch.tensor(rates))
    process.excitation.branching.zero_()
    return process


def test_residuals_of_a_poisson_process_by_hand():
    """Sequences are laid end to end: what passed after the last event is joined to what passes before the next."""
    batch = EventBatch.from_sequences([[1.0, 4.0], [], [0.5]], [[0, 1], [], [0]], t_end=[5.0, 2.0, 3.0])
    result = time_rescaling(poisson(2.0, 1.0), batch)
    assert result.residuals[0].tolist() == pytest.approx([2.0, (5.0 - 1.0 + 2.0 + 0.5) * 2.0])
    assert result.residuals[1].tolist() == pytest.approx([4.0])


def test_the_events_window_begins_after_the_first_event():
    batch = EventBatch.from_sequences([[1.0, 4.0]], [[0, 0]], t_end=[9.0])
    assert time_rescaling(poisson(2.0), batch, window="events").residuals[0].tolist() == pytest.approx([6.0])


def test_a_wrong_process_is_rejected_and_the_true_one_is_not():
    empty = EventBatch.from_sequences([[]] * 50, [[]] * 50, t_end=[0.0] * 50)
    data = simulate(poisson(0.8, 0.4), empty, until=20.0, seeds=range(50))
    assert time_rescaling(poisson(0.8, 0.4), data).p_value > 0.01
    wrong = time_rescaling(poisson(0.6, 0.4), data)
    assert wrong.p_value < 1e-2
    assert float(wrong.type_p_value[0]) < 1e-3 < 0.01 < float(wrong.type_p_value[1])
    assert float(wrong.type_statistic[0]) > float(wrong.type_statistic[1])


def test_qq_points_of_a_true_process_lie_on_the_diagonal():
    empty = EventBatch.from_sequences([[]] * 200, [[]] * 200, t_end=[0.0] * 200)
    result = time_rescaling(poisson(1.0), simulate(poisson(1.0), empty, until=30.0, seeds=range(200)))
    theory, sample = result.qq(20)
    assert theory.shape == sample.shape == (20,)
    torch.testing.assert_close(sample, theory, rtol=0.1, atol=0.02)
    torch.testing.assert_close(result.qq(20, type=0)[1], sample)


def test_a_type_without_events_has_no_statistic():
    result = time_rescaling(poisson(1.0, 1.0), EventBatch.from_sequences([[1.0]], [[0]]))
    assert len(result.residuals[1]) == 0 and bool(torch.isnan(result.type_statistic[1]))
    with pytest.raises(ValueError, match="type 1 has no residuals"):
        result.qq(type=1)


def test_no_sequence_at_all_has_no_residuals():
    result = time_rescaling(poisson(1.0, 2.0), EventBatch.from_sequences([], []))
    assert [len(residuals) for residuals in result.residuals] == [0, 0]
    assert math.isnan(result.p_value) and bool(torch.isnan(result.type_p_value).all())
    with pytest.raises(ValueError, match="no residuals"):
        result.qq()
