"""A process's intensity taken apart: baseline, excitation by each type and by each past event, and the network's correction.

The link of the Mamba-Hawkes process (M3TR eq. 1) is not linear, so the intensity itself is not a sum. The terms are those
inside the link, where they are one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.events import EventBatch
from models.hawkes import ExponentialHawkes, MambaHawkesProcess, PointProcess
from models.hawkes.link import soft_link


@dataclass(frozen=True)
class IntensityTerms:
    """Terms of the intensity at q times of b sequences, with k types; the sum of the terms is the link's argument.

    Attributes:
        baseline: (b, q, k).
        excitation: (b, q, k, k), of each type (third axis) by the past events of each type (last axis).
        by_event: (b, q, k, l), the same by each event; 0 for later events and in the padding.
        neural: (b, q, k), the network's term; 0 for a process without a network.
        softness: (k,) softness beta of the link; None if the link is the identity.
        time_scale: s, which the link's value is divided by.
    """

    baseline: Tensor
    excitation: Tensor
    by_event: Tensor
    neural: Tensor
    softness: Tensor | None
    time_scale: float

    @property
    def argument(self) -> Tensor:
        """The link's argument, (b, q, k): the sum of all terms."""
        return self.baseline + self.excitation.sum(-1) + self.neural

    @property
    def intensity(self) -> Tensor:
        """The intensity after the link, (b, q, k), events per unit of time."""
        return self._after(self.argument)

    @property
    def stacked(self) -> Tensor:
        """The terms inside the link, per unit of time, (b, q, k, k + 2): baseline, excitation by each type, correction."""
        terms = [self.baseline[..., None], self.excitation, self.neural[..., None]]
        return torch.cat(terms, -1) / self.time_scale

    @property
    def shares(self) -> Tensor:
        """The size of each term inside the link over the sum of all sizes, (b, q, k, k + 2), in the order of `stacked`."""
        sizes = self.stacked.abs()
        return sizes / sizes.sum(-1, keepdim=True).clamp_min(torch.finfo(sizes.dtype).tiny)

    @property
    def left_out(self) -> Tensor:
        """The intensity minus the intensity without each term, (b, q, k, k + 2), in the order of `stacked`.

        These are after the link and do not sum to the intensity: below beta the terms multiply it rather than add to it.
        """
        without = self.argument[..., None] - self.stacked * self.time_scale
        return self.intensity[..., None] - self._after(without.transpose(-1, -2)).transpose(-1, -2)

    def _after(self, argument: Tensor) -> Tensor:
        value = argument if self.softness is None else soft_link(argument, self.softness)
        return value / self.time_scale


@torch.no_grad()
def intensity_terms(process: PointProcess, batch: EventBatch, at: Tensor) -> IntensityTerms:
    """Return the terms of a process's intensity, given the events strictly before each time.

    Args:
        process: An ExponentialHawkes or MambaHawkesProcess, in evaluation mode. In the form "mufm" nothing excites, and the
            slope is part of the baseline.
        batch: b sequences, padded to l events.
        at: (b, q) float64, times at or after t_start.

    Returns:
        The terms.

    Raises:
        ValueError: Another process; its intensity is no sum of such terms.
    """
    if not isinstance(process, ExponentialHawkes | MambaHawkesProcess):
        raise ValueError(
            f"the intensity of {type(process).__name__} is no sum of terms; allowed: ExponentialHawkes, MambaHawkesProcess"
        )
    baseline, _, neural = process.components(batch, at)
    is_mamba = isinstance(process, MambaHawkesProcess)
    scale = float(process.time_scale) if is_mamba else 1.0
    by_event = _by_event(process, batch, at, scale).to(baseline)
    kinds = torch.nn.functional.one_hot(batch.types, process.num_types).to(baseline)  # (b, l, k)
    return IntensityTerms(
        baseline=baseline,
        excitation=by_event @ kinds[:, None],
        by_event=by_event,
        neural=neural,
        softness=process.log_softness.exp() if is_mamba else None,
        time_scale=scale,
    )


def _by_event(process: PointProcess, batch: EventBatch, at: Tensor, scale: float) -> Tensor:
    """Return what each event adds to each type inside the link, (b, q, k, l) float64: eq. 1's double sum, term by term."""
    if process.excitation is None:
        return torch.zeros(*at.shape, process.num_types, batch.times.shape[1], dtype=torch.float64)
    jump = process.excitation.jump.double()  # (k, k, r)
    rate = process.excitation.rate.double().expand_as(jump)
    elapsed = (at[:, :, None] - batch.times[:, None]) / scale  # (b, q, l)
    past = (elapsed > 0) & batch.mask[:, None]
    types = batch.types  # (b, l)
    height, decay = (part.movedim(1, 0)[types] for part in (jump, rate))  # (b, l, k, r)
    kernel = height[:, None] * torch.exp(-decay[:, None] * elapsed.clamp_min(0)[..., None, None])  # (b, q, l, k, r)
    return torch.where(past[..., None], kernel.sum(-1), 0.0).movedim(-1, -2)
