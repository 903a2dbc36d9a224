"""A bad input loses only its own result, whatever else is in its batch."""

import gc
import weakref

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from assets.encoding.bisect_failures import encode_or_bisect
from models.encoders import EncoderError, load
from models.encoders.pretrained.batching import Batches
from models.encoders.pretrained.visual import ImageEncoder


@given(good=st.lists(st.booleans(), max_size=40))
def test_each_bad_input_gets_an_error_and_all_others_a_result(good):
    calls = []

    def encode(numbers):
        calls.append(len(numbers))
        if not all(good[number] for number in numbers):
            raise EncoderError(f"among {len(numbers)}")
        return [10 * number for number in numbers]

    found = encode_or_bisect(encode, list(range(len(good))))
    assert len(found) == len(good)
    for number, (fine, outcome) in enumerate(zip(good, found)):
        assert outcome == 10 * number if fine else str(outcome) == "among 1"
    if all(good):
        assert len(calls) == (1 if good else 0)
    if good.count(False) == 1:
        assert len(calls) <= 1 + 2 * 6


class Activations:
    """A stand-in for a model's activations, which fill the device's memory."""


def test_a_row_that_failed_holds_no_memory():
    held = []

    def never(_batch):
        activations = Activations()
        held.append(weakref.ref(activations))
        raise torch.OutOfMemoryError("planted")

    batches = Batches(4)
    found = encode_or_bisect(lambda inputs: batches.run(inputs, never), [1, 2, 3])
    gc.collect()
    assert ["doesn't fit into memory by itself: planted" in str(error) for error in found] == [True] * 3
    assert len(held) == 6 and not any(one() for one in held)


def test_videos_that_do_not_fit_on_the_device_together_go_there_by_halves(tmp_path, monkeypatch):
    encoder = load("visual", "tiny", cache=tmp_path)
    videos = [torch.full((2, 3, 32, 32), number, dtype=torch.uint8) for number in range(5)]
    expected = encoder.from_prepared(videos)
    together = torch.cat

    def at_most_four_rows(tensors, *rest, **named):
        made = together(tensors, *rest, **named)
        if made.dtype == torch.uint8 and len(made) > 4:
            raise torch.OutOfMemoryError("planted")
        return made

    monkeypatch.setattr("torch.cat", at_most_four_rows)
    found = encode_or_bisect(encoder.from_prepared, videos)
    assert isinstance(encoder, ImageEncoder) and len(found) == 5
    for rows, whole in zip(found, expected, strict=True):
        assert rows == pytest.approx(whole, abs=1e-5)
