"""A bad input costs its own result, whatever it shares a batch with."""

from hypothesis import given
from hypothesis import strategies as st

from assets.containment import outcomes
from models.encoders import EncoderError


@given(good=st.lists(st.booleans(), max_size=40))
def test_the_bad_ones_stand_alone(good):
    calls = []

    def encode(numbers):
        calls.append(len(numbers))
        if not all(good[number] for number in numbers):
            raise EncoderError(f"among {len(numbers)}")
        return [10 * number for number in numbers]

    found = outcomes(encode, list(range(len(good))))
    assert len(found) == len(good)
    for number, (fine, outcome) in enumerate(zip(good, found)):
        assert outcome == 10 * number if fine else str(outcome) == "among 1"
    if all(good):
        assert len(calls) == (1 if good else 0)
    if good.count(False) == 1:
        assert len(calls) <= 1 + 2 * 6
