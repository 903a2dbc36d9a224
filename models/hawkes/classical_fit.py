"""Maximum likelihood for the classical process: L-BFGS-B with exact gradients."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from scipy.optimize import minimize

from models.events import EventBatch
from models.hawkes.exponential import ExponentialHawkes
from models.hawkes.initialisation import decay_grid, type_rates
from models.hawkes.report import Epoch, FitReport

BATCH = 512


def fit_classical(
    process: ExponentialHawkes,
    train: EventBatch,
    dev: EventBatch,
    *,
    penalty: str | None,
    strength: float | None,
    window: str,
    max_seconds: float | None,
    progress: Callable[[Epoch], None] | None,
) -> FitReport:
    began = time.monotonic()
    excitation = process.excitation
    with torch.no_grad():
        process.baseline.copy_(0.5 * type_rates(train, process.num_types))
        excitation.log_rate.copy_(decay_grid(train, excitation.decays).log().expand_as(excitation.log_rate))
        excitation.branching.fill_(0.5 / (process.num_types * excitation.decays))
    parameters = [process.baseline, excitation.branching, excitation.log_rate]
    sizes = [p.numel() for p in parameters]
    rates = type_rates(train, process.num_types).numpy()
    scale = np.concatenate([rates, np.ones(sizes[1] + sizes[2])])  # the baseline in units of the data's rates
    bounds = [(1e-9, None)] * sizes[0] + [(0.0, None)] * sizes[1] + [(None, None)] * sizes[2]
    order = train.lengths.argsort(descending=True)
    batches = [train[rows] for rows in order.split(BATCH)]
    report = FitReport()

    def put(x: np.ndarray) -> None:
        with torch.no_grad():
            for parameter, part in zip(parameters, np.split(x * scale, np.cumsum(sizes)[:-1])):
                parameter.copy_(torch.as_tensor(part).view_as(parameter))

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        put(x)
        process.zero_grad()
        total = 0.0
        for batch in batches:
            loss = -process.log_likelihood(batch, window=window).sum() / train.num_events
            loss.backward()
            total += float(loss.detach())
        gradient = np.concatenate([p.grad.flatten().numpy() for p in parameters]) * scale
        return total, gradient

    start = np.concatenate([p.detach().flatten().numpy() for p in parameters]) / scale
    result = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 200})
    put(result.x)
    process.zero_grad()
    process.eval()
    with torch.no_grad():
        dev_value = float(process.log_likelihood(dev, window=window).sum()) / dev.num_events
    report.curve.append(Epoch(0, -float(result.fun), dev_value, time.monotonic() - began))
    report.seconds = time.monotonic() - began
    report.branching_ratio = process.branching_ratio()
    return report
