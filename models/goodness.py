"""Goodness of fit by time rescaling: by its own compensator's clock a process is a unit Poisson one (Papangelou 1972)."""

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
    """Residuals and how far they are from the unit exponential distribution they have under the true process.

    residuals        one tensor a type: the compensator passed between its successive events, float64
    statistic        Kolmogorov-Smirnov distance of all residuals together, and its p-value
    type_statistic   (k,) the same of each type, NaN where it has no event; `type_p_value` (k,)
    """

    residuals: list[Tensor]
    statistic: float
    p_value: float
    type_statistic: Tensor
    type_p_value: Tensor

    def qq(self, points: int = 100, *, type: int | None = None) -> tuple[Tensor, Tensor]:
        """Quantiles (points,) of the unit exponential and of the residuals of one type, or of all together."""
        sample = torch.cat(self.residuals) if type is None else self.residuals[type]
        if len(sample) == 0:
            raise ValueError("there are no residuals" if type is None else f"type {type} has no residuals")
        probability = (torch.arange(points, dtype=torch.float64) + 0.5) / points
        at = (probability * (len(sample) - 1)).round().long()
        return -torch.log1p(-probability), sample.sort().values[at]


@torch.no_grad()
def time_rescaling(process: PointProcess, batch: EventBatch, *, window: str = "observation") -> TimeRescaling:
    """Residuals of `batch` under `process`, by type, with their KS test.

    The sequences' rescaled windows are laid end to end, so that the stretch after a sequence's last event of a type is
    joined to the one before the next sequence's first: cutting it off would favour short residuals. Under the true
    process all residuals are independent and exponential with mean 1. `window` is that of the likelihood.
    """
    process.eval()
    parts = [batch[begin : begin + BATCH] for begin in range(0, len(batch), BATCH)]
    found: list[list[Tensor]] = [[] for _ in range(process.num_types)]
    offset = torch.zeros(process.num_types, dtype=torch.float64, device=batch.times.device)
    for part in parts:
        passed = process.gap_compensators(part, window=window).cumsum(1)  # (b, l + 1, k), at the end of each gap
        ends = passed[:, -1].cumsum(0)
        begin = torch.cat([torch.zeros_like(ends[:1]), ends[:-1]]) + offset
        counted = counted_events(part, window)
        for kind in range(process.num_types):
            row, event = (counted & (part.types == kind)).nonzero(as_tuple=True)
            found[kind].append(passed[row, event, kind] + begin[row, kind])
        offset = offset + ends[-1]
    # from 0 on: a type without any event has no residual
    residuals = [torch.cat([offset.new_zeros(1), *times]).diff() for times in found]
    tests = [_test(sample) for sample in (torch.cat(residuals), *residuals)]
    by_type = torch.tensor(tests[1:], dtype=torch.float64)
    return TimeRescaling(residuals, *tests[0], by_type[:, 0], by_type[:, 1])


def _test(sample: Tensor) -> tuple[float, float]:
    if len(sample) == 0:
        return float("nan"), float("nan")
    from scipy import stats

    result = stats.kstest(sample.cpu().numpy(), "expon")
    return float(result.statistic), float(result.pvalue)
