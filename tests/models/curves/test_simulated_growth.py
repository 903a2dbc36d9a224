import numpy as np
import torch

from models.curves import LEVELS
from models.curves.simulated_growth import SimulatedGrowth
from models.events import EventBatch
from models.hawkes import ExponentialHawkes
from models.predictors.feedback import Feedback
from models.temporal import Completed

HORIZONS = np.array([1.0, 6.0, 24.0, np.inf])


def feedback_of(ages):
    events = EventBatch.from_sequences([[0.5]] * len(ages), [[0]] * len(ages), t_end=ages)
    age = torch.tensor(ages, dtype=torch.float64)
    return Feedback(events, Completed.unextended(events, None, age, None))


def test_a_poisson_process_has_the_quantiles_of_its_counts():
    from scipy.stats import poisson

    process = ExponentialHawkes(2)
    with torch.no_grad():
        process.baseline.copy_(torch.tensor([0.5, 3.0]))
        process.excitation.branching.zero_()
    counted = np.array([[True, False], [False, False]])
    simulator = SimulatedGrowth(process, counted, HORIZONS, np.array([True, True, False, True]), 4000)
    values, capped = simulator.quantiles(feedback_of([2.0, 50.0]), seeds=[1, 2], ends=np.array([40.0, 60.0]))
    assert values.shape == (2, 2, 4, len(LEVELS))
    assert np.isnan(values[:, 1]).all()  # no type is counted
    assert np.isnan(values[:, :, 2]).all()  # not simulated
    for place, expected in ((1, 0.5 * 4), (3, 0.5 * 38)):
        whole = poisson.ppf(LEVELS, expected)
        assert (np.abs(np.floor(values[0, 0, place]) - whole) <= 1).all()
    assert (np.floor(values[1, 0, 1]) == 0).all()  # the horizon has passed
    assert not capped.any()


def test_a_window_that_ends_after_the_last_simulated_horizon_has_no_quantiles():
    counted, simulated = np.array([[True]]), np.array([True, True, False, False])
    simulator = SimulatedGrowth(ExponentialHawkes(1), counted, HORIZONS, simulated, 3)
    values, _ = simulator.quantiles(feedback_of([6.0, 0.75]), seeds=[1, 2], ends=np.array([9.0, 9.0]))
    assert np.isnan(values[0]).all() and not np.isnan(values[1, 0, :2]).any()
