"""Batches: outputs are in order, a lack of memory halves the batch, and outputs that aren't finite are errors."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.encoders import EncoderError, load
from models.encoders.pretrained.batching import Batches, fastest_size, finite


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
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        torch.AcceleratorError("CUDA error: out of memory"),
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
    assert "out of memory with 16 inputs per batch; continuing with 8" in caplog.text
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
    with pytest.raises(EncoderError, match="it: 1 of 3 outputs are NaN or infinite"):
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
    captioner._tokenizer.batch_decode = lambda *_, **__: ["  "]
    with pytest.raises(EncoderError, match="1 empty captions of 1"):
        captioner.caption([IMAGE])


def fixed_clock(monkeypatch, seconds_of):
    """A clock that advances only with a batch, by `seconds_of(size)`."""
    now = [0.0]
    monkeypatch.setattr("models.encoders.pretrained.batching.time.perf_counter", lambda: now[0])
    sizes = []

    def trial(size):
        sizes.append(size)
        now[0] += seconds_of(size)

    return trial, sizes


def test_the_batch_size_from_which_doubling_no_longer_pays(monkeypatch):
    trial, sizes = fixed_clock(monkeypatch, lambda size: max(size, 60) / 1000)  # a device that is full with 60 inputs
    assert fastest_size(trial) == 64
    assert sorted(set(sizes)) == [8, 16, 32, 64, 128]
    trial, sizes = fixed_clock(monkeypatch, lambda size: 1.0)  # one that is never full
    assert fastest_size(trial, most=256) == 256 == max(sizes)


@pytest.mark.parametrize(("fits", "expected"), [(40, 32), (5, 4), (1, 1)])
def test_the_batch_size_found_fits_into_memory(monkeypatch, fits, expected):
    def seconds(size):
        if size > fits:
            raise torch.OutOfMemoryError("planted")
        return 1.0

    trial, _ = fixed_clock(monkeypatch, seconds)
    assert fastest_size(trial) == expected


def test_no_batch_size_where_not_one_input_fits(monkeypatch):
    def seconds(_size):
        raise torch.OutOfMemoryError("planted")

    trial, _ = fixed_clock(monkeypatch, seconds)
    with pytest.raises(EncoderError, match="it: not even one input fits"):
        fastest_size(trial, name="it")


@pytest.mark.parametrize("role", ["visual", "acoustic", "text", "captions", "sounds"])
def test_every_encoder_can_be_tried_with_a_batch(cache, role):
    encoder = load(role, "tiny", cache=cache)
    assert fastest_size(encoder.trial, start=2, most=4, gain=0.0) == 4


def test_a_batch_of_captions_ends_with_the_end_token_of_its_last(cache, monkeypatch):
    captioner = load("captions", "tiny", cache=cache, max_new_tokens=20)
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(6)]
    whole = captioner._generate(captioner.prepare(images))
    assert whole.shape == (6, 20)
    end = int(whole[0, 3])  # from now on this word ends a caption
    captioner._model.language_model.generation_config.eos_token_id = end
    steps = []
    decoder, pad = captioner._model.language_model, captioner._model.language_model.generation_config.pad_token_id
    forward = decoder.forward
    monkeypatch.setattr(decoder, "forward", lambda *given, **named: steps.append(1) or forward(*given, **named))
    ended = captioner._generate(captioner.prepare(images))
    last = 0
    for row, before in zip(ended.tolist(), whole.tolist(), strict=True):
        length = before.index(end) + 1 if end in before else 20
        assert row[:length] == before[:length] and set(row[length:]) <= {pad}
        last = max(last, length)
    assert len(steps) == last == ended.shape[1]
    steps.clear()
    captioner._generate(captioner.prepare(images[:1]))
    assert len(steps) == whole[0].tolist().index(end) + 1 < 20
