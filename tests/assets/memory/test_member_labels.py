"""Each target's label is shown to a query once it was known, and the check sees a label that is shown too early."""

import numpy as np
import polars as pl
import pytest

from assets.memory.member_labels import MemberLabels
from assets.memory.neighbours import check_neighbours

NAN = float("nan")
KNOWN = MemberLabels(value=np.array([[1.0, 2.0], [NAN, 3.0]]), since=np.array([[10.0, 50.0], [NAN, 40.0]]))
SIDES = pl.DataFrame({"item": ["m", "n", "q"], "split": ["train", "train", "test"], "group": [0, 1, 2]})
WINDOWS = pl.DataFrame({"item": ["m", "n", "q"], "t0": [5, 5, 45]})
LABELS = pl.DataFrame(
    {
        "item": ["m", "m", "n", "n"],
        "target": ["a@1h", "b@2h", "a@1h", "b@2h"],
        "label_time": [10, 50, 60, None],  # n's second label is a final count without a time
        "value": [1.0, 2.0, None, 3.0],
        "known": [True, True, False, True],
    }
)


def test_a_query_sees_the_labels_that_were_known_by_then():
    shown = KNOWN.shown(np.array([0, 0, 1, 1]), np.array([9, 10, 39, 40]))
    np.testing.assert_array_equal(shown, [[NAN, NAN], [1, NAN], [NAN, NAN], [NAN, 3]])
    np.testing.assert_array_equal(KNOWN.shown(np.array([0, 1]), None), KNOWN.value)
    assert KNOWN.first().tolist() == [10, 40]


def pairs(of_m: list[float | None], of_n: list[float | None]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "item": ["q", "q"],
            "neighbour": ["m", "n"],
            "label": pl.Series([of_m[0], of_n[0]], dtype=pl.Float32),
            "labels": pl.Series([of_m, of_n], dtype=pl.List(pl.Float64)),
        }
    )


@pytest.mark.parametrize(
    ("shown", "split", "problem"),
    [
        (([1.0, None], [None, 3.0]), "chronological", None),
        (([1.0, 2.0], [None, 3.0]), "paper", None),
        (([1.0, 2.0], [None, 3.0]), "chronological", "label not known in time"),
        (([1.0, None], [7.0, 3.0]), "paper", "another item's label"),
        (([1.0, None], [None, 2.0]), "paper", "another item's label"),
    ],
    ids=["clean", "paper", "too early", "an unknown label", "another label"],
)
def test_the_check_sees_a_label_that_is_shown_too_early(shown, split, problem):
    result = check_neighbours(pairs(*shown), SIDES, WINDOWS, LABELS, split)
    assert list(result.metadata["problems"].value) == ([] if problem is None else [problem])
