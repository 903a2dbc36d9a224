"""Batches: order kept, memory exhausted and survived, and nothing that isn't finite gets out."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.encoders import EncoderError, load
from models.encoders.pretrained.batching import Batches, finite


@given(lengths=st.lists(st.integers(0, 50)), size=st.integers(1, 9))
def test_outputs_come_in_the_order_of_the_inputs(lengths, size):
    seen = []

    def double(batch):
        seen.append(batch)
        return [2 * value for value in batch]

    assert Batches(size).run(lengths, double, lengths=lengths) == [2 * value for value in lengths]
    assert all(0 < len(batch) <= size for batch in seen)
    assert [value for batch in seen for value in batch] == sorted(
        lengths, reverse=True
    )  # the longest first, so like with like


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_a_batch_that_does_not_fit_is_halved_for_good(error, caplog):
    sizes = []

    def at_most_three(batch):
        sizes.append(len(batch))
        if len(batch) > 3:
            raise error
        return [value + 1 for value in batch]

    batches = Batches(16)
    assert batches.run(list(range(20)), at_most_three) == list(range(1, 21))
    assert sizes[:4] == [16, 8, 4, 2] and max(sizes[3:]) == 2 == batches.size
    assert "out of memory with 16 inputs a batch; going on with 8" in caplog.text
    sizes.clear()
    batches.run([1, 2, 3], at_most_three)
    assert sizes == [2, 1]


def test_one_input_that_does_not_fit_is_an_error():
    def never(batch):
        raise torch.OutOfMemoryError("no")

    with pytest.raises(EncoderError, match="input 0 doesn't fit into memory by itself"):
        Batches(4).run([1, 2], never)


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    def broken(batch):
        raise RuntimeError("shapes don't match")

    with pytest.raises(RuntimeError, match="shapes don't match"):
        Batches(4).run([1, 2], broken)
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        Batches(0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_only_finite_numbers_pass(value):
    good = torch.ones(3, 2, dtype=torch.bfloat16)
    assert finite(good, "it").dtype == torch.float32
    bad = good.clone()
    bad[1, 1] = value
    with pytest.raises(EncoderError, match="it: 1 of 3 outputs of a batch are NaN or infinite"):
        finite(bad, "it")


IMAGE = np.zeros((40, 40, 3), dtype=np.uint8)
SOUND = np.ones(16000, dtype=np.float32)


@pytest.mark.parametrize(
    ("role", "use"),
    [
        ("visual", lambda encoder: encoder.encode([IMAGE])),
        ("acoustic", lambda encoder: encoder.encode([SOUND], 16000)),
        ("text", lambda encoder: encoder.encode_words(["dog"])),
        ("text", lambda encoder: encoder.encode_sentences(["dog"])),
        ("captions", lambda encoder: encoder.caption([IMAGE])),
        ("sounds", lambda encoder: encoder.describe([SOUND], 16000)),
    ],
)
def test_a_model_that_gives_nan_is_an_error(cache, role, use):
    encoder = load(role, "tiny", cache=cache)
    use(encoder)
    for parameter in encoder._model.parameters():  # the planted fault
        parameter.data[...] = float("nan")
    with pytest.raises(EncoderError, match="NaN or infinite"):
        use(encoder)


def test_an_empty_caption_is_an_error(cache):
    captioner = load("captions", "tiny", cache=cache)
    captioner._processor.batch_decode = lambda *_, **__: ["  "]
    with pytest.raises(EncoderError, match="1 empty captions of 1"):
        captioner.caption([IMAGE])
