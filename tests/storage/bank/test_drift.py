import numpy as np
import pytest

from storage.bank.drift import drift


def normal(count: int, width: int = 64, *, seed: int, shift: float = 0.0, spread: float = 1.0) -> np.ndarray:
    made = np.random.default_rng(seed).standard_normal((count, width)) * spread
    made[:, 0] += shift * np.sqrt(width)
    return made.astype(np.float32)


def energy_coefficient(x: np.ndarray, y: np.ndarray) -> float:
    """Szekely and Rizzo's, pair by pair."""
    across = np.mean([np.linalg.norm(a - b) for a in x for b in y])
    within = [np.mean([np.linalg.norm(a - b) for i, a in enumerate(z) for b in z[:i]]) for z in (x, y)]
    return (2 * across - sum(within)) / (2 * across)


def test_it_is_the_energy_coefficient():
    x, y = normal(40, 5, seed=0).astype(float), normal(30, 5, seed=1, shift=0.8).astype(float)
    assert drift(x, y).energy == pytest.approx(energy_coefficient(x, y), rel=1e-6)


@pytest.mark.parametrize("width", [2, 64, 1024])
def test_samples_of_one_distribution_show_none_however_wide(width):
    found = drift(normal(500, width, seed=0), normal(700, width, seed=1))
    assert found.energy < 0.01
    assert found.similarities < 0.05


@pytest.mark.parametrize("changed", [{"shift": 0.5}, {"spread": 2.5}])
def test_a_moved_and_a_widened_distribution_are_seen(changed):
    assert drift(normal(800, seed=0), normal(800, seed=1, **changed)).energy > 0.05


def test_the_mean_shift_is_in_units_of_the_spread():
    assert drift(normal(1000, seed=0), normal(1000, seed=1, shift=2.0)).mean_shift == pytest.approx(2.0, abs=0.1)


def test_a_collapsed_encoder_shows_in_the_similarities_though_nothing_else_can_be_compared():
    one = normal(1, 16, seed=2)
    collapsed = one / np.linalg.norm(one) + np.zeros((300, 1), np.float32)
    vectors = normal(300, 64, seed=0)
    found = drift(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), collapsed)
    assert found.energy is None and found.mean_shift is None
    assert found.similarities > 0.95


def test_equal_vectors_have_no_drift_and_one_vector_no_distribution():
    same = np.ones((10, 3), np.float32)
    assert drift(same, same).energy == 0
    assert drift(same, same).similarities == 0
    assert drift(same[:1], same) is None
