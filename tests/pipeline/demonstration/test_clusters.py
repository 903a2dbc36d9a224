import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad, solve_ivp
from scipy.stats import kstest

from pipeline.demonstration.clusters import Background, Events, simulate

G = np.array([[0.30, 0.20, 0.60], [0.10, 0.25, 0.10], [0.05, 0.02, 0.15]])
DECAY = np.array([1 / 1.5, 1 / 3.0, 1 / 5.0])
MIX = np.array([0.6, 0.3, 0.1])
PARTS = [(3.0, 0.0, 8.0), (4.0, 10.0, 5.0), (0.4, 0.0, np.inf)]  # rate, start, lasting


def background(n: int, parts: list[tuple[float, float, float]] = PARTS) -> Background:
    rate, start, lasting = (np.tile(column, (n, 1)) for column in zip(*parts, strict=True))
    return Background(rate, start, lasting, np.tile(MIX, (n, len(parts), 1)))


def rate(t: float) -> np.ndarray:
    """mu_k(t), written out: (types,)."""
    return MIX * sum(r * np.exp(-(t - s) / last) for r, s, last in PARTS if t >= s)


def expected_counts(end: float) -> np.ndarray:
    """E N_k(end) by the moment equations: y_km' = d_m (G_km E[lambda_m] - y_km), E[lambda_k] = mu_k + sum_m y_km."""

    def slope(t: float, state: np.ndarray) -> np.ndarray:
        y = state[:9].reshape(3, 3)
        intensity = rate(t) + y.sum(axis=1)
        return np.concatenate([(DECAY * (G * intensity - y)).ravel(), intensity])

    return solve_ivp(slope, (0, end), np.zeros(12), rtol=1e-8, atol=1e-8, max_step=0.5).y[9:, -1]


def counts(n: int, end: float, seed: int = 0) -> np.ndarray:
    events = simulate(background(n), np.tile(G, (n, 1, 1)), DECAY, np.full(n, end), np.random.default_rng(seed))
    return np.bincount(3 * events.sequence + events.type, minlength=3 * n).reshape(n, 3)


@pytest.mark.parametrize("end", [3.0, 12.0, 40.0])
def test_mean_counts_on_a_window_are_those_of_the_moment_equations(end: float):
    drawn = counts(4000, end)
    error = drawn.std(axis=0) / len(drawn) ** 0.5
    assert (np.abs(drawn.mean(axis=0) - expected_counts(end)) < 3 * error).all()


def test_mean_counts_of_a_finished_process_are_immigrants_times_the_inverse_of_one_minus_g():
    n, dying = 4000, [(3.0, 0.0, 8.0), (4.0, 10.0, 5.0)]
    branching = np.tile(G, (n, 1, 1))
    events = simulate(background(n, dying), branching, DECAY, np.full(n, 1000.0), np.random.default_rng(1))
    drawn = np.bincount(3 * events.sequence + events.type, minlength=3 * n).reshape(n, 3)
    expected = np.linalg.solve(np.eye(3) - G, MIX * (3.0 * 8.0 + 4.0 * 5.0))
    error = drawn.std(axis=0) / n**0.5
    assert (np.abs(drawn.mean(axis=0) - expected) < 3 * error).all()


def test_variance_exceeds_that_of_a_poisson_process():
    drawn = counts(4000, 40.0).sum(axis=1)
    assert drawn.var() > 1.5 * drawn.mean()


def test_residuals_of_the_true_intensity_are_exponential():
    """Time change (Meyer, 1971; Papangelou, 1972): the compensator between events of a type is Exp(1)."""
    end = 400.0
    steady = Background(*(np.array([[x]]) for x in (1.5, 0.0, np.inf)), MIX[None, None])
    events = simulate(steady, G[None], DECAY, np.array([end]), np.random.default_rng(2))
    for k in range(3):
        own = events.time[events.type == k]
        compensator = np.array([MIX[k] * 1.5 * t for t in own])
        for when, m in zip(events.time, events.type, strict=True):
            compensator += np.where(own > when, -G[k, m] * np.expm1(-DECAY[m] * np.clip(own - when, 0, None)), 0.0)
        assert kstest(np.diff(compensator, prepend=0.0), "expon").pvalue > 0.01


INHIBITED = np.array([[0.30, -1.20, 0.60], [0.10, 0.25, 0.10], [0.05, 0.02, 0.15]])  # comments prevent likes


def clipped_residuals(events: Events, k: int, branching: np.ndarray, base: float, end: float) -> np.ndarray:
    """Integrals of max(0, mu + sum of kernels) between the events of type k, by a trapezium rule between all events."""
    knots = np.unique(np.concatenate([[0.0], events.time, np.linspace(0, end, 4001)]))
    grid = (knots[:-1, None] + np.diff(knots)[:, None] * np.linspace(0, 1, 9)).ravel()
    argument = np.full(grid.size, base * MIX[k])
    for m in range(3):
        sources, before = events.time[events.type == m], np.repeat(knots[:-1], 9)
        total = np.zeros(grid.size)
        for t in sources:  # an event acts from its own time on, and every stretch lies between two events
            late = slice(int(np.searchsorted(before, t)), None)
            total[late] += np.exp(-DECAY[m] * (grid[late] - t))
        argument += branching[k, m] * DECAY[m] * total
    rate = np.maximum(argument, 0.0).reshape(-1, 9)
    steps = ((rate[:, 1:] + rate[:, :-1]) / 2).sum(axis=1) * np.diff(knots) / 8
    cumulative = np.concatenate([[0.0], steps.cumsum()])
    return np.diff(np.interp(events.time[events.type == k], knots, cumulative), prepend=0.0)


def test_residuals_of_a_process_with_inhibition_are_exponential():
    """The same time change with the clipped intensity; the residuals without the inhibition are not exponential."""
    end, base = 600.0, 3.0
    steady = Background(*(np.array([[x]]) for x in (base, 0.0, np.inf)), MIX[None, None])
    events = simulate(steady, INHIBITED[None], DECAY, np.array([end]), np.random.default_rng(5))
    for k in range(3):
        assert kstest(clipped_residuals(events, k, INHIBITED, base, end), "expon").pvalue > 0.01
    exciting = np.maximum(INHIBITED, 0.0)
    assert kstest(clipped_residuals(events, 0, exciting, base, end), "expon").pvalue < 1e-6
    clusters = simulate(steady, exciting[None], DECAY, np.array([end]), np.random.default_rng(5))
    assert (events.type == 0).sum() < 0.8 * (clusters.type == 0).sum()


def test_an_inhibition_that_lasts_ends_the_other_type_at_once():
    """Events of type 0 stop at the first event of type 1, so that E N_0 = mu_0 (1 - exp(-mu_1 T)) / mu_1."""
    n, end, (first, second) = 4000, 5.0, (0.8 * 2.0, 0.2 * 2.0)
    mix = np.tile([0.8, 0.2, 0.0], (n, 1, 1))
    steady = Background(np.full((n, 1), 2.0), np.zeros((n, 1)), np.full((n, 1), np.inf), mix)
    branching = np.zeros((n, 3, 3))
    branching[:, 0, 1] = -1e9
    events = simulate(steady, branching, np.full(3, 1e-6), np.full(n, end), np.random.default_rng(6))
    drawn = np.bincount(events.sequence[events.type == 0], minlength=n)
    expected = first * -np.expm1(-second * end) / second
    assert abs(drawn.mean() - expected) < 3 * drawn.std() / n**0.5
    stop = np.full(n, np.inf)
    np.minimum.at(stop, events.sequence[events.type == 1], events.time[events.type == 1])
    assert (events.time[events.type == 0] < stop[events.sequence[events.type == 0]]).all()


def test_background_alone_has_the_times_of_its_rate():
    n, end = 3000, 20.0
    events = simulate(background(n), np.zeros((n, 3, 3)), DECAY, np.full(n, end), np.random.default_rng(3))
    grid = np.linspace(0, end, 4001)
    cumulative = np.concatenate([[0], np.cumsum([rate(t).sum() for t in (grid[:-1] + grid[1:]) / 2])])
    assert kstest(events.time, lambda t: np.interp(t, grid, cumulative / cumulative[-1])).pvalue > 0.01
    share = np.bincount(events.type) / events.type.size
    assert np.abs(share - MIX).max() < 3 * (0.25 / events.type.size) ** 0.5


@given(
    start=st.floats(0, 20),
    lasting=st.one_of(st.floats(0.1, 500), st.just(np.inf)),
    end=st.floats(0, 200),
    r=st.floats(0, 9),
)
def test_mass_is_the_integral_of_the_rate(start: float, lasting: float, end: float, r: float):
    one = Background(*(np.array([[x]]) for x in (r, start, lasting)), MIX[None, None])
    lower = min(start, end)
    integral = quad(lambda t: r * np.exp(-(t - start) / lasting), lower, end, limit=200, points=[lower])[0]
    assert one.mass(np.zeros(1, int), np.array([end]))[0, 0] == pytest.approx(integral, rel=1e-6, abs=1e-9)


def test_events_are_sorted_inside_their_window_and_follow_from_the_seed():
    n = 200
    end = np.linspace(0, 30, n)
    first, second = (
        simulate(background(n), np.tile(G, (n, 1, 1)), DECAY, end, np.random.default_rng(4)) for _ in range(2)
    )
    assert (first.time < end[first.sequence]).all() and (first.time >= 0).all()
    same = np.diff(first.sequence) == 0
    assert (np.diff(first.sequence) >= 0).all() and (np.diff(first.time)[same] >= 0).all()
    assert all(np.array_equal(getattr(first, name), getattr(second, name)) for name in ("sequence", "time", "type"))
    assert 0 not in first.sequence  # a window of no length


def test_a_branching_ratio_of_one_is_refused():
    critical = 1.001 * G / np.abs(np.linalg.eigvals(G)).max()
    with pytest.raises(ValueError, match=r"sequence 1: spectral radius .* 1\.001, allowed: < 1"):
        simulate(background(2), np.stack([G, critical]), DECAY, np.full(2, 5.0), np.random.default_rng(0))
