"""Goodness of fit by time rescaling: compensated by its true intensity, a process is unit Poisson (Papangelou 1972)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.events import EventBatch
from models.hawkes.history import counted_events
from models.hawkes.process import PointProcess

BATCH = 256


@dataclass(frozen=True)
class TimeRescaling:
    """Residuals of a process, and their distance from the unit exponential distribution.

    Under the true process the residuals have exactly that distribution.

    Attributes:
        residuals: One float64 tensor per type: the increase of the compensator between successive events of the type.
        statistic: Kolmogorov-Smirnov distance of all residuals together.
        p_value: Its p-value.
        type_statistic: (k,) the distance per type; NaN for a type without events.
        type_p_value: (k,) its p-value per type.
    """

    residuals: list[Tensor]
    statistic: float
    p_value: float
    type_statistic: Tensor
    type_p_value: Tensor

    def qq(self, points: int = 100, *, type: int | None = None) -> tuple[Tensor, Tensor]:
        """Return quantiles for a Q-Q plot.

        Args:
            points: Number of quantiles.
            type: Type whose residuals are used; None uses all types together.

        Returns:
            (points,) quantiles of the unit exponential distribution, and (points,) quantiles of the residuals.

        Raises:
            ValueError: There are no such residuals.
        """
        sample = torch.cat(self.residuals) if type is None else self.residuals[type]
        if len(sample) == 0:
            raise ValueError("there are no residuals" if type is None else f"type {type} has no residuals")
        probability = (torch.arange(points, dtype=torch.float64) + 0.5) / points
        at = (probability * (len(sample) - 1)).round().long()
        return -torch.log1p(-probability), sample.sort().values[at]


@torch.no_grad()
def time_rescaling(process: PointProcess, batch: EventBatch, *, window: str = "observation") -> TimeRescaling:
    """Return the residuals of sequences under a process, per type, with a Kolmogorov-Smirnov test.

    Under the true process all residuals are independent and exponential with mean 1. The rescaled windows of the sequences
    are concatenated. So the interval after a sequence's last event of a type continues before the next sequence's first one.
    If it were dropped, short residuals would be overrepresented.

    Args:
        process: The process; it is set to evaluation mode.
        batch: The sequences.
        window: Window of the likelihood: "observation" or "events".

    Returns:
        Residuals and test statistics.

    Example:
        >>> from models.hawkes import ExponentialHawkes
        >>> batch = EventBatch.from_sequences([[0.5, 1.0], [2.0]], [[0, 0], [0]], t_end=[3.0, 3.0])
        >>> result = time_rescaling(ExponentialHawkes(1), batch)
        >>> len(result.residuals), len(result.residuals[0])
        (1, 3)
    """
    process.eval()
    parts = [batch[begin : begin + BATCH] for begin in range(0, len(batch), BATCH)]
    event_times: list[list[Tensor]] = [[] for _ in range(process.num_types)]
    offset = torch.zeros(process.num_types, dtype=torch.float64, device=batch.times.device)
    for part in parts:
        passed = process.gap_compensators(part, window=window).cumsum(1)  # (b, l + 1, k), at the end of each gap
        ends = passed[:, -1].cumsum(0)
        begin = torch.cat([torch.zeros_like(ends[:1]), ends[:-1]]) + offset
        counted = counted_events(part, window)
        for kind in range(process.num_types):
            row, event = (counted & (part.types == kind)).nonzero(as_tuple=True)
            event_times[kind].append(passed[row, event, kind] + begin[row, kind])
        offset = offset + ends[-1]
    # Each type starts at 0, so a type without events has no residual.
    residuals = [torch.cat([offset.new_zeros(1), *times]).diff() for times in event_times]
    tests = [_test(sample) for sample in (torch.cat(residuals), *residuals)]
    by_type = torch.tensor(tests[1:], dtype=torch.float64)
    return TimeRescaling(residuals, *tests[0], by_type[:, 0], by_type[:, 1])


def _test(sample: Tensor) -> tuple[float, float]:
    if len(sample) == 0:
        return float("nan"), float("nan")
    from scipy import stats

    result = stats.kstest(sample.cpu().numpy(), "expon")
    return float(result.statistic), float(result.pvalue)
