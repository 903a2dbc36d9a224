"""The Poisson process with a rate per item, the simplest process in M3TR's table 2, and its fit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.events import EventBatch
from models.hawkes.classical_fit import MOST_EVENTS, batches_of, score_of
from models.hawkes.history import counted_events, gaps_of
from models.hawkes.initialisation import longest_window, mean_gap, type_rates
from models.hawkes.process import Levels, Snapshot
from models.hawkes.report import Epoch, FitReport
from models.hawkes.row_source import RowSource

SHAPES = 1e-3, 1e4  # range of the prior's shape; the largest says that all items have the same rate
SLOWEST = 1e-3  # least exposure of the prior, relative to the mean gap; the largest is the longest window over it


class PoissonProcess(RowSource):
    """Events of each type at a constant rate per sequence, which is unknown and has a Gamma prior.

    The prior of type k has shape a_k and exposure c_k. After N_k(t) events within the time t since t_start, the rate's
    posterior mean is the intensity:

        lambda_k(t) = (N_k(t) + a_k) / (t + c_k)

    It falls between events and knows nothing of the events' order. h is the last event's type (one-hot; zeros before the
    first event) and log1p of its time since t_start.

    Attributes:
        num_types: Number k of event types.
        log_shape: log a (k,).
        log_exposure: log c (k,), c in the unit of the event times.
        time_scale: The mean gap, a float64 buffer; 1 before `fit`.

    Example:
        >>> process = PoissonProcess(1)  # a = c = 1
        >>> batch = EventBatch.from_sequences([[1.0, 2.0]], [[0, 0]], t_end=[3.0])
        >>> process.intensity(batch, torch.tensor([[0.5, 3.0]])).squeeze().tolist()  # (0 + 1) / 1.5 and (2 + 1) / 4
        [0.6666666666666666, 0.75]
    """

    excitation = None

    def __init__(self, num_types: int) -> None:
        """Create a process with a = c = 1 for `num_types` types of events."""
        super().__init__()
        self.num_types, self.hidden = num_types, num_types + 1
        self.log_shape, self.log_exposure = (nn.Parameter(torch.zeros(num_types)) for _ in range(2))
        self.register_buffer("time_scale", torch.ones((), dtype=torch.float64))

    def config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"num_types": self.num_types}

    def branching_matrix(self) -> Tensor:
        """Return zeros, (k, k): an event tells of the rate, but causes no other event."""
        return torch.zeros(self.num_types, self.num_types, dtype=torch.float64)

    def encode(self, batch: EventBatch) -> Levels:
        """Return N + a as base (b, l + 1, k), and t + c as amplitude (b, l + 1, k, 1), at every position."""
        counts = functional.pad(self._seen(batch).cumsum(1), (0, 0, 1, 0))  # (b, l + 1, k)
        since = gaps_of(batch).start - batch.t_start[:, None]  # (b, l + 1)
        exposure = since[..., None] + self.log_exposure.double().exp()
        return Levels(counts + self.log_shape.double().exp(), exposure[..., None])

    def hidden_and_levels(self, batch: EventBatch) -> tuple[Tensor, Levels]:
        """Return h (b, l + 1, k + 1) and the levels at every position."""
        since = (batch.times - batch.t_start[:, None]).log1p()[..., None]
        h = functional.pad(torch.cat([self._seen(batch), since], dim=-1), (0, 0, 1, 0))
        return h, self.encode(batch)

    def rate(self, levels: Levels, elapsed: Tensor) -> Tensor:
        """Return the intensity (g, q, k) at `elapsed` (g, q) after the event of each of g levels."""
        return levels.base[:, None] / (levels.amplitude[..., 0][:, None] + elapsed[..., None])

    def integral(self, levels: Levels, elapsed: Tensor) -> Tensor:
        """Return the integral (g, k) of `rate` over [0, elapsed] in closed form; `elapsed` is (g,)."""
        return levels.base * torch.log1p(elapsed[:, None] / levels.amplitude[..., 0])

    @torch.no_grad()
    def snapshot(self, batch: EventBatch) -> Snapshot:
        """Return the history of each sequence just after its last event."""
        batch.check_types(self.num_types)
        rows = torch.arange(len(batch), device=batch.times.device)
        time = gaps_of(batch).start[rows, batch.lengths].clone()
        return Snapshot(time, self.encode(batch).at(rows, batch.lengths), ())

    @torch.no_grad()
    def advance(self, snapshot: Snapshot, at: Tensor, types: Tensor) -> Snapshot:
        """Return the history after one more event of type `types` (b,) at time `at` (b,)."""
        base = snapshot.levels.base + functional.one_hot(types, self.num_types)
        return Snapshot(at, Levels(base, snapshot.levels.amplitude + (at - snapshot.time)[:, None, None]), ())

    def _seen(self, batch: EventBatch) -> Tensor:
        """Return the types of the events as (b, l, k) float64, zeros in the padding."""
        return functional.one_hot(batch.types, self.num_types).double() * batch.mask[..., None]


def fit_poisson(
    process: PoissonProcess,
    train: EventBatch,
    dev: EventBatch,
    *,
    window: str,
    progress: Callable[[Epoch], None] | None,
) -> FitReport:
    """Fit the prior of a PoissonProcess by maximum likelihood, in place; see `fit.fit` for the arguments."""
    began, gap = time.monotonic(), mean_gap(train, window)
    longest, k = longest_window(train, window), process.num_types
    batches, scored = batches_of(train, MOST_EVENTS), int(counted_events(train, window).sum())
    from scipy.optimize import minimize  # takes a quarter of a second to import

    parameters = (process.log_shape, process.log_exposure)

    def put(values: np.ndarray) -> None:
        with torch.no_grad():
            for parameter, part in zip(parameters, np.split(values, 2), strict=True):
                parameter.copy_(torch.from_numpy(part))

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        """Return minus the log-likelihood per event, and its gradient."""
        put(values)
        process.zero_grad()
        total = 0.0
        for batch in batches:
            part = -process.log_likelihood(batch, window=window).sum() / scored
            part.backward()
            total += float(part.detach())
        return total, np.concatenate([parameter.grad.double().numpy() for parameter in parameters])

    for parameter in parameters:
        parameter.data = parameter.data.double()  # the optimiser needs the digits
    # As if the prior had seen one event of each type.
    start = np.concatenate([np.zeros(k), -type_rates(train, k, window).log().numpy()])
    exposures = math.log(SLOWEST * gap), math.log(longest / SLOWEST)
    bounds = [(math.log(SHAPES[0]), math.log(SHAPES[1]))] * k + [exposures] * k
    low, high = np.array(bounds).T
    found = minimize(loss, np.clip(start, low, high), jac=True, method="L-BFGS-B", bounds=bounds)
    put(found.x)
    for parameter in parameters:
        parameter.data, parameter.grad = parameter.data.float(), None
    process.time_scale.fill_(gap)
    process.eval()
    report = FitReport(curve=[Epoch(0, -float(found.fun), score_of(process, dev, window), time.monotonic() - began)])
    report.seconds = time.monotonic() - began
    if progress is not None:
        progress(report.best)
    return report
