"""The ages at which windows are cut, and the contents of the cut windows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from assets.feedback.younger_windows import windows_of, younger_ages
from assets.protocol.process_inputs import Sequences
from assets.settings import Process, Protocol

SIDES = {"train": "train", "val": "val", "test": "test", "new": "predict", "unborn": "train", "short": "train"}


@pytest.fixture
def sequences() -> Sequences:
    """An event per hour from half past, over a day; an item without a clock; one observed for two hours."""
    own = np.array([24.0, 24.0, 24.0, 24.0, 0.0, 2.0])
    hours = [np.arange(0.5, end) for end in own]
    types = [np.zeros(len(at), np.int64) for at in hours]
    total = np.array([len(at) for at in hours])
    return Sequences(list(SIDES), hours, types, own, own, total, 24.0, 0)


def test_scored_items_are_cut_at_the_ages_training_items_at_random_ones_too(sequences):
    ages = younger_ages(sequences, SIDES, Protocol(ages=[1.0, 3.0, 8.0]), Process(younger=4))
    assert ages["val"] == ages["test"] == [1.0, 3.0, 8.0]
    assert ages["new"] == ages["unborn"] == []
    in_the_gap = younger_ages(sequences, {**SIDES, "val": "gap"}, Protocol(ages=[1.0, 3.0, 8.0]), Process(younger=4))
    assert in_the_gap == {**ages, "val": []}
    drawn = sorted(set(ages["train"]) - {1.0, 3.0, 8.0})
    assert len(ages["train"]) == 7 and ages["train"] == sorted(ages["train"])
    edges = 24.0 * 200.0 ** (np.arange(5) / 4 - 1)
    assert all(low <= age <= high for age, low, high in zip(drawn, edges, edges[1:]))
    assert max(ages["short"]) < 2.0 and 1.0 in ages["short"] and 3.0 not in ages["short"]


def test_the_draw_depends_on_the_item_and_the_seed_alone(sequences):
    def drawn(part: Sequences, seed: int) -> list[float]:
        return younger_ages(part, SIDES, Protocol(ages=[]), Process(younger=3, seed=seed))["train"]

    assert drawn(sequences, 0) == drawn(sequences.take([5, 0]), 0)
    assert drawn(sequences, 0) != drawn(sequences, 1)
    assert younger_ages(sequences, SIDES, Protocol(ages=[]), Process(younger=0))["train"] == []


def test_every_window_holds_what_was_known_at_its_age(sequences):
    ages = {item: [3.0, 8.0] if item in ("val", "test") else [] for item in SIDES}
    windows, rows = windows_of(sequences, ages, max_events=5)
    assert rows.tolist() == [0, 1, 1, 1, 2, 2, 2, 3, 4, 5]
    assert windows.age[1:4].tolist() == [3.0, 8.0, 24.0]
    assert windows.total[1:4].tolist() == [3, 8, 24]
    assert [len(hours) for hours in windows.hours[1:4]] == [3, 5, 5]
    assert windows.t_end[1:4].tolist() == [3.0, 4.5, 4.5]


def test_at_age_zero_nothing_is_seen_not_even_an_event_at_publication(sequences):
    hours = [np.concatenate([[0.0], at]) for at in sequences.hours]
    types = [np.zeros(len(at), np.int64) for at in hours]
    born = replace(sequences, hours=hours, types=types, total=np.array([len(at) for at in hours]))
    ages = younger_ages(born, SIDES, Protocol(ages=[0.0, 3.0]), Process(younger=0))
    assert ages["test"] == ages["train"] == [0.0, 3.0] and ages["unborn"] == []
    windows, rows = windows_of(born, ages, max_events=5)
    first = [windows.total[rows == row].tolist() for row in range(len(born.items))]
    assert first[0] == [0, 4, 25]
    assert first[4] == [1]  # its own window ends at t = 0 and holds what was cut by number, not by age
    assert [len(at) for at in windows.hours] == [min(total, 5) for total in windows.total]
