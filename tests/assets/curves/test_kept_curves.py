"""Curves of earlier runs are reused exactly where the curve model would read the same values again."""

from dataclasses import fields, replace

import numpy as np
import pytest

from assets.curves.forecast import curve_digests
from models.curves import LEVELS
from models.curves.curve_inputs import CurveInputs
from models.predictors.table import Table

ARRAYS = [field.name for field in fields(CurveInputs) if field.name not in ("items", "table")]


@pytest.fixture
def inputs() -> CurveInputs:
    rng = np.random.default_rng(0)
    return CurveInputs(
        items=np.array(["a", "a", "b"]),
        age=rng.random(3),
        weights=rng.random((3, 2)),
        table=Table(rng.random((3, 2)), ("x", "y"), np.array([["u"], ["v"], [""]], object), ("word",)),
        counted=rng.random((3, 1)),
        so_far=rng.random((3, 1)),
        known=np.full((3, 1, 4), np.nan),
        neighbours=rng.random((3, 1, 4, 2)),
        simulated=rng.random((3, 1, 4, len(LEVELS))),
    )


def changed(before: CurveInputs, after: CurveInputs) -> list[int]:
    both = zip(curve_digests(before), curve_digests(after), strict=True)
    return [row for row, (one, other) in enumerate(both) if one != other]


@pytest.mark.parametrize("name", ARRAYS)
def test_every_number_that_a_window_reads_is_part_of_its_digest(inputs, name):
    values = getattr(inputs, name).copy()
    values[1].flat[-1:] = 7.0
    if values.ndim == 1:
        values[1] = 7.0
    assert changed(inputs, inputs) == []
    assert changed(inputs, replace(inputs, **{name: values})) == [1]


def test_so_are_the_item_and_the_table(inputs):
    assert changed(inputs, replace(inputs, items=np.array(["a", "c", "b"]))) == [1]
    numbers = inputs.table.numeric.copy()
    numbers[2, 1] = np.nan
    assert changed(inputs, replace(inputs, table=replace(inputs.table, numeric=numbers))) == [2]
    words = np.array([["u"], ["v"], ["w"]], object)
    assert changed(inputs, replace(inputs, table=replace(inputs.table, categorical=words))) == [2]


def test_a_window_has_the_same_digest_among_others(inputs):
    assert curve_digests(inputs.take(np.array([2, 0]))) == [curve_digests(inputs)[row] for row in (2, 0)]
