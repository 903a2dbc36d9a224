import numpy as np
import pytest

from models.recommenders import UserHistories


def histories(start, time):
    return UserHistories(
        users=np.array(["a", "b", "c"]),
        items=np.array(["x"]),
        start=np.array(start),
        item=np.zeros(len(time), np.int32),
        time=np.array(time),
        clicked=np.ones(len(time), bool),
    )


def test_time_may_fall_from_one_user_to_the_next():
    assert len(histories([0, 2, 2, 3], [5, 6, 1])) == 3


def test_a_user_without_exposures_at_the_end_is_allowed():
    assert histories([0, 2, 3, 3], [5, 6, 1]).of(2).tolist() == []


def test_a_history_that_is_not_in_order_is_refused_by_user():
    with pytest.raises(ValueError, match="user b: exposure 0 is later"):
        histories([0, 1, 3, 3], [5, 6, 1])


def test_exposures_of_nobody_are_refused():
    with pytest.raises(ValueError, match="start must have 4 values from 0 to 3"):
        histories([0, 1, 2, 2], [5, 6, 7])
