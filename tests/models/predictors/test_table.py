import numpy as np
import pytest

from models.predictors import Table


def test_names_and_columns_must_agree():
    with pytest.raises(ValueError, match="given"):
        Table(np.zeros((2, 1)), ("duration", "width"))
    with pytest.raises(ValueError, match="must differ"):
        Table(np.zeros((2, 2)), ("duration", "duration"))
    with pytest.raises(ValueError, match="given"):
        Table(np.zeros((2, 1)), ("duration",), np.full((3, 1), "en", object), ("language",))


def test_taken_windows_keep_their_columns():
    table = Table(np.arange(6.0).reshape(3, 2), ("a", "b"), np.array([["x"], ["y"], [""]], object), ("c",))
    part = table.take(np.array([2, 0]))
    assert part.numeric.tolist() == [[4.0, 5.0], [0.0, 1.0]]
    assert part.categorical.tolist() == [[""], ["x"]]
    assert (part.numeric_names, part.categorical_names) == (("a", "b"), ("c",))
