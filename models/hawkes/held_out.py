"""Sequences that are held out of a fit to decide when it stops."""

from __future__ import annotations

import torch

from models.events import EventBatch
from models.hawkes.history import counted_events

SHARE = 0.1  # of the sequences, at least one


def hold_out(events: EventBatch, *, window: str, seed: int) -> tuple[EventBatch, EventBatch]:
    """Split sequences at random into nine tenths to fit and one tenth to decide when the fit stops.

    Sequences without an event that the window counts stay with those to fit.

    Args:
        events: The sequences.
        window: Window of the likelihood: "observation" or "events".
        seed: Seed of the choice.

    Returns:
        The sequences to fit, and those that are held out.

    Raises:
        ValueError: If fewer than two sequences hold an event that the window counts.
    """
    usable = counted_events(events, window).any(1).nonzero().squeeze(1).cpu()
    if len(usable) < 2:
        raise ValueError(
            "a neural process needs sequences that it isn't fitted to, to know when to stop: pass dev, or at least two "
            f"sequences with events; given {len(usable)}"
        )
    order = usable[torch.randperm(len(usable), generator=torch.Generator().manual_seed(seed))]
    held = torch.zeros(len(events), dtype=torch.bool)
    held[order[: max(1, round(SHARE * len(usable)))]] = True
    return events[~held], events[held]
