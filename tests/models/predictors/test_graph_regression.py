"""TMALL's graphs and half steps against plain NumPy on dense matrices (models_spec: Chen et al. 2016, section 3)."""

from __future__ import annotations

import numpy as np
import pytest

from models.predictors.graph_regression import GraphRegression, GraphWeights
from models.predictors.similarity_graph import scaled_laplacian

N, NEIGHBOURS = 24, 5


def laplacian_by_hand(rows: np.ndarray) -> np.ndarray:
    """L / tr(L), pair by pair."""
    there = [i for i in range(len(rows)) if not np.isnan(rows[i]).any()]
    squares = {(i, j): float(((rows[i] - rows[j]) ** 2).sum()) for i in there for j in there if i != j}
    nearest = {i: sorted((j for j in there if j != i), key=lambda j: squares[i, j])[:NEIGHBOURS] for i in there}
    sigma = np.median([squares[i, j] for i in there for j in nearest[i]])
    similar = np.zeros((len(rows), len(rows)))
    for i, j in squares:
        if j in nearest[i] or i in nearest[j]:
            similar[i, j] = np.exp(-squares[i, j] / sigma)
    laplacian = np.zeros_like(similar)
    for i in there:
        laplacian[i, i] = 1.0
        for j in there:
            laplacian[i, j] -= similar[i, j] / np.sqrt(similar[i].sum() * similar[j].sum())
    return laplacian / np.trace(laplacian)


@pytest.fixture
def rows() -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    made = [rng.normal(size=(N, width)) for width in (4, 3, 6)]
    made[1][[2, 5, 20]] = np.nan
    return made


@pytest.fixture
def problem(rows) -> GraphRegression:
    rng = np.random.default_rng(4)
    labelled = np.arange(N) < 16
    label = np.where(labelled, rng.normal(size=N), np.nan)
    weights = GraphWeights(agreement=3.0 * N, smoothness=20.0, penalty=0.7)
    return GraphRegression([scaled_laplacian(part, neighbours=NEIGHBOURS) for part in rows], labelled, label, weights)


def test_the_laplacian_is_the_one_by_hand(rows):
    for part in rows:
        found = scaled_laplacian(part, neighbours=NEIGHBOURS).toarray()
        np.testing.assert_allclose(found, laplacian_by_hand(part), atol=1e-12)
        np.testing.assert_allclose(np.trace(found), 1.0)
        np.testing.assert_array_equal(found[np.isnan(part).any(1)], 0.0)
    other = scaled_laplacian(rows[0], neighbours=NEIGHBOURS + 1).toarray()
    assert not np.allclose(other, laplacian_by_hand(rows[0]), atol=1e-12)
    assert scaled_laplacian(np.full((3, 2), np.nan), neighbours=2) is None


def test_equal_videos_are_the_most_similar():
    rows = np.array([[0.0], [0.0], [1.0], [1.1]])
    laplacian = scaled_laplacian(rows, neighbours=1).toarray()
    assert laplacian[0, 1] < 0 and laplacian[0, 2] == 0


def test_a_forecast_for_fixed_weights_solves_the_dense_system(problem, rows):
    beta = np.array([0.2, 0.5, 0.3])
    dense = sum(weight * laplacian_by_hand(part) for weight, part in zip(beta, rows))
    system = np.diag(problem.labelled.astype(float)) + problem.weights.smoothness * dense
    expected = np.linalg.solve(system, np.where(problem.labelled, problem.label, 0.0))
    np.testing.assert_allclose(problem.forecast(beta), expected, atol=1e-10)
    assert not np.allclose(problem.forecast(np.array([0.3, 0.4, 0.3])), expected, atol=1e-10)


def test_with_one_modality_and_all_labels_it_is_one_ridge_on_the_graph(rows):
    label = np.random.default_rng(5).normal(size=N)
    weights = GraphWeights(1.0, 30.0, 1.0)
    made = GraphRegression([scaled_laplacian(rows[0], neighbours=NEIGHBOURS)], np.ones(N, bool), label, weights)
    forecast, beta = made.solve()
    expected = np.linalg.solve(np.eye(N) + 30.0 * laplacian_by_hand(rows[0]), label)
    np.testing.assert_allclose(forecast, expected, atol=1e-10)
    np.testing.assert_allclose(beta, [1.0])


def test_the_weights_for_a_fixed_forecast_are_the_closed_form(problem, rows):
    forecast = 0.1 * np.random.default_rng(6).normal(size=N)
    dense = [laplacian_by_hand(part) for part in rows]
    use, m = problem.weights, len(dense)
    traces = np.array([[np.trace(first @ second) for second in dense] for first in dense])
    h = 2 * (m * use.agreement * traces + use.penalty * np.eye(m))
    r = 2 * use.agreement * traces.sum(1) - use.smoothness * np.array([forecast @ part @ forecast for part in dense])
    inverse = np.linalg.inv(h)
    nu = ((inverse @ r).sum() - 1) / (inverse @ np.ones(m)).sum()
    expected = inverse @ (r - nu)
    assert (expected > 0).all()
    np.testing.assert_allclose(problem.modality_weights(forecast), expected, atol=1e-10)
    assert not np.allclose(problem.modality_weights(2 * forecast), expected, atol=1e-10)


def test_the_objective_is_the_printed_sum(problem, rows):
    forecast, beta = np.random.default_rng(7).normal(size=N), np.array([0.6, 0.1, 0.3])
    dense = [laplacian_by_hand(part) for part in rows]
    combined, use = sum(weight * part for weight, part in zip(beta, dense)), problem.weights
    expected = sum((problem.label[i] - forecast[i]) ** 2 for i in range(N) if problem.labelled[i])
    expected += use.agreement * sum(np.linalg.norm(combined - part, "fro") ** 2 for part in dense)
    expected += use.smoothness * forecast @ combined @ forecast + use.penalty * beta @ beta
    assert problem.objective(forecast, beta) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("smoothness", [1.0, 20.0, 2000.0])
def test_no_half_step_raises_the_objective_and_the_weights_sum_to_one(problem, smoothness):
    problem.weights = GraphWeights(0.01 * N, smoothness, 0.01)
    _, beta = problem.solve()
    assert len(problem.objectives) > 3 and (np.diff(problem.objectives) <= 1e-9).all()
    assert beta.sum() == pytest.approx(1.0) and (beta >= 0).all()


def test_weights_at_the_bound_are_the_best_of_a_grid(problem):
    """Where the closed form has a negative weight, no point of a fine grid on the simplex is better."""
    problem.weights = GraphWeights(1e-3, 2000.0, 1e-3)
    forecast = np.random.default_rng(8).normal(size=N)
    beta = problem.modality_weights(forecast)
    assert (beta == 0).any()
    grid = [np.array([a, b, 100 - a - b]) / 100 for a in range(101) for b in range(101 - a)]
    assert problem.objective(forecast, beta) <= min(problem.objective(forecast, point) for point in grid) + 1e-9
