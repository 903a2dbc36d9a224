"""L-BFGS-B for classical likelihoods with too many types for a Hessian in memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from models.hawkes.exponential import ExponentialHawkes
from models.hawkes.scoring import Likelihood, Limits, Parameters

ITERATIONS = 100
STANDSTILL = 10, 2e-5  # stop if this many iterations together gain less than this many nats per event


def climb_quasi_newton(
    process: ExponentialHawkes,
    likelihood: Likelihood,
    start: Parameters,
    limits: Limits,
    *,
    events: int,
    record: Callable[[Parameters, float], bool],
) -> tuple[Parameters, np.ndarray]:
    """Maximise the likelihood with memory linear in the number of parameters; see `scoring.climb`.

    Each parameter is scaled by the root of its Fisher information at the start, so that all have a similar curvature.

    Args:
        process: The process whose compiled likelihood gives the gradient; its parameters change during the climb.
        likelihood: The likelihood of the training sequences.
        start: The starting point; it must be within the limits.
        limits: Bounds of the parameters.
        events: Number of events that are scored.
        record: Called after each iteration with the point and its value. It returns True to end the climb.

    Returns:
        The best point, and minus its log-likelihood, divided equally among the types.
    """
    from scipy.optimize import minimize

    parts = list(start)
    sizes = np.cumsum([part.size for part in parts])[:-1]
    curvature = likelihood.curvature(start)
    # lower bound of the information, so that parameters with almost none do not get huge steps
    bends = [np.maximum(part, 1e-4 * part.max(initial=1e-300)).ravel() / events for part in curvature]
    scale = np.concatenate([*(1 / np.sqrt(bend) for bend in bends), np.ones(start.log_rate.size)])
    bounds = [(low, None) for low in limits.floor]
    bounds += [(0.0, None if free else 0.0) for free in limits.free.ravel()]
    bounds += [(limits.slow, limits.fast)] * start.log_rate.size
    bounds = [(low / unit, None if high is None else high / unit) for (low, high), unit in zip(bounds, scale)]

    def parameters(x: np.ndarray) -> Parameters:
        pieces = np.split(x * scale, sizes)
        return Parameters(*(piece.reshape(part.shape) for piece, part in zip(pieces, parts)))

    values = []

    mine = [process.baseline, process.excitation.branching, process.excitation.log_rate]

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        here = parameters(x)
        with torch.no_grad():
            for parameter, part in zip(mine, here):
                parameter.copy_(torch.from_numpy(part).view_as(parameter))
        process.zero_grad()
        value = float((likelihood.penalty * here.branching).sum())
        for batch in likelihood.batches:
            loss = -process.log_likelihood(batch, window=likelihood.window).sum()
            loss.backward()
            value += float(loss.detach())
        process.excitation.branching.grad.add_(
            torch.from_numpy(likelihood.penalty).view_as(process.excitation.branching)
        )
        gradient = np.concatenate([parameter.grad.numpy().ravel() for parameter in mine])
        return value / events, gradient * scale / events

    def callback(intermediate_result) -> None:
        values.append(float(intermediate_result.fun))
        span, gain = STANDSTILL
        stands = len(values) > span and values[-span - 1] - values[-1] < gain
        if record(parameters(intermediate_result.x), values[-1] * events) or stands:
            raise StopIteration

    x = np.concatenate([part.ravel() for part in parts]) / scale
    options = {"maxiter": ITERATIONS, "ftol": 0.0, "gtol": 1e-6, "maxcor": 10}
    result = minimize(objective, x, jac=True, method="L-BFGS-B", bounds=bounds, callback=callback, options=options)
    process.zero_grad()
    return parameters(result.x), np.full(likelihood.num_types, result.fun * events / likelihood.num_types)
