"""Observed windows cut at younger ages, so that one model can be trained and scored at any age of a video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from assets.protocol.process_inputs import Sequences
from assets.settings import Process, Protocol
from storage.hashing import content_hash

SPAN = 200.0  # the youngest age drawn is the window over this: some seven minutes of a day
YOUNGER = pa.list_(
    pa.struct(
        [
            pa.field("age_hours", pa.float64()),
            pa.field("used_hours", pa.float64()),
            pa.field("total", pa.int64()),
            pa.field("observed", pa.int32()),
            pa.field("times", pa.list_(pa.float64())),
            pa.field("types", pa.list_(pa.int32())),
        ]
    )
)


def younger_ages(
    sequences: Sequences, sides: Mapping[str, str], protocol: Protocol, process: Process
) -> dict[str, list[float]]:
    """Choose the ages, below its own, at which each item's window is cut; in ascending order.

    A labelled item's window is cut at each of `protocol.ages`: validation and test items are scored there, and training
    items compared with queries of that age. A training item's window is also cut at `process.younger` ages drawn at
    random from its id and `process.seed`: log-uniform between 1 / 200 of the window and the whole, one in each of as
    many equal parts of that range. Items that are to be predicted keep their own window alone. No window is ever
    extended beyond what was observed.

    Args:
        sequences: the items' whole windows.
        sides: each item's split (train, val, test or predict).
        protocol: the settings' section.
        process: the settings' section.
    """
    ages: dict[str, list[float]] = {}
    for item, own in zip(sequences.items, sequences.age.tolist(), strict=True):
        side, chosen = sides[item], []
        if side != "predict":
            chosen += protocol.ages
        if side == "train" and process.younger:
            generator = np.random.default_rng(int(content_hash("younger", item, process.seed)[:15], 16))
            part = (np.arange(process.younger) + generator.random(process.younger)) / process.younger
            chosen += (own * SPAN ** (part - 1.0)).tolist()
        ages[item] = sorted({age for age in chosen if age < own})
    return ages


def windows_of(part: Sequences, ages: Mapping[str, Sequence[float]], max_events: int) -> tuple[Sequences, np.ndarray]:
    """All windows of some items: each item's younger ones in ascending order, then its own.

    Returns:
        The windows, cut to the events that the process reads, and (windows,) the row of `part` that each is of.
    """
    counts = [len(ages[item]) + 1 for item in part.items]
    row = np.repeat(np.arange(len(part.items)), counts)
    until = np.concatenate([[*ages[item], own] for item, own in zip(part.items, part.age, strict=True)])
    return part.take(row).until(until).at_most(max_events), row
