"""Observed windows cut at younger ages, so that one model is trained and scored at any age of a video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from assets.protocol.process_inputs import Sequences
from assets.settings import Process, Protocol
from storage.hashing import content_hash

SPAN = 200.0  # the youngest random age is the window divided by this: about seven minutes of a day
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
    """Return the ages at which each item's window is cut, ascending and below the item's own age.

    The window of an item in training, validation or test is cut at each of `protocol.ages`. Validation and test items are
    scored at these ages; training items are compared with queries of these ages. A training item's window is also cut at
    `process.younger` random ages, seeded by its id and `process.seed`. They are log-uniform between 1 / 200 of the window and
    the whole window, one in each of `process.younger` equal parts of that range. Items for prediction and items in the gap keep
    only their own window. No window is extended beyond what was observed.

    Args:
        sequences: The items' complete windows.
        sides: Item -> split (train, val, test, gap or predict).
        protocol: Section `[protocol]` of the settings.
        process: Section `[process]` of the settings.
    """
    ages: dict[str, list[float]] = {}
    for item, own in zip(sequences.items, sequences.age.tolist(), strict=True):
        side, cuts = sides[item], []
        if side in ("train", "val", "test"):
            cuts += protocol.ages
        if side == "train" and process.younger:
            generator = np.random.default_rng(int(content_hash("younger", item, process.seed)[:15], 16))
            part = (np.arange(process.younger) + generator.random(process.younger)) / process.younger
            cuts += (own * SPAN ** (part - 1.0)).tolist()
        ages[item] = sorted({age for age in cuts if age < own})
    return ages


def windows_of(part: Sequences, ages: Mapping[str, Sequence[float]], max_events: int) -> tuple[Sequences, np.ndarray]:
    """Return all windows of some items: each item's younger ones in ascending order, then its own.

    Args:
        part: The items' complete windows.
        ages: Item -> ages of its younger windows, in hours.
        max_events: Events per window that the process reads.

    Returns:
        The windows, limited to `max_events` events, and for each window the row of its item in `part`, (windows,).
    """
    counts = [len(ages[item]) + 1 for item in part.items]
    row = np.repeat(np.arange(len(part.items)), counts)
    until = np.concatenate([[*ages[item], own] for item, own in zip(part.items, part.age, strict=True)])
    return part.take(row).until(until).at_most(max_events), row
