"""The preparation of inputs: picklable, the same in every process, and available without weights."""

import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from models.encoders import EncoderError, load, preparation, width
from models.encoders.tiny import checkpoint

RNG = np.random.default_rng(5)
IMAGES = [RNG.integers(0, 256, (50, 30, 3), dtype=np.uint8) for _ in range(4)]
SOUNDS = [RNG.standard_normal(length).astype(np.float32) * 0.1 for length in (16000, 9000, 40000)]
GIVEN = {"visual": (IMAGES,), "captions": (IMAGES,), "acoustic": (SOUNDS, 16000), "sounds": (SOUNDS, 16000)}


def same(one, other):
    if isinstance(one, (np.ndarray, torch.Tensor)):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), atol=1e-5)
    elif isinstance(one, float):
        assert one == pytest.approx(other, abs=1e-5)
    elif isinstance(one, (list, tuple)):
        for first, second in zip(one, other, strict=True):
            same(first, second)
    else:
        assert one == other


@pytest.mark.parametrize("profile", ["handcrafted", "tiny"])
@pytest.mark.parametrize("role", GIVEN)
def test_inputs_prepared_by_another_process_give_the_same_results(cache, profile, role):
    options = {"cache": cache} if profile == "tiny" else {}
    elsewhere = pickle.loads(pickle.dumps(preparation(role, profile, **options)))
    encoder = load(role, profile, **options)
    elements, *rate = GIVEN[role]
    videos = [elements[:1], elements[:0], elements[1:]]
    prepared = [pickle.loads(pickle.dumps(elsewhere(video, *rate))) for video in videos]
    call = {"captions": "caption", "sounds": "describe"}.get(role, "encode")
    expected = [getattr(encoder, call)(video, *rate) for video in videos]
    assert [len(rows) for rows in expected] == [1, 0, len(elements) - 1]
    same(expected, encoder.from_prepared(prepared))
    assert encoder.from_prepared([]) == []


def test_values_are_scaled_as_the_processor_scales_them(cache):
    from transformers import AutoImageProcessor

    for role in ("visual", "captions"):
        prepare = preparation(role, "tiny", cache=cache)
        pixels = prepare(IMAGES)
        assert pixels.dtype == torch.uint8
        whole = AutoImageProcessor.from_pretrained(checkpoint(role, cache=cache), backend="pil")
        expected = whole(images=[Image.fromarray(image) for image in IMAGES], return_tensors="pt").pixel_values
        torch.testing.assert_close(prepare.scaled(pixels, torch.float32), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("profile", ["handcrafted", "tiny"])
def test_widths_are_known_without_weights(cache, profile, monkeypatch):
    options = {"cache": cache} if profile == "tiny" else {}
    encoders = {role: load(role, profile, **options) for role in ("visual", "acoustic", "text")}
    monkeypatch.setattr("models.encoders.pretrained.load", lambda *_, **__: pytest.fail("weights were loaded"))
    for role, encoder in encoders.items():
        assert width(role, profile, **options) == encoder.width
    for role in ("captions", "sounds"):
        with pytest.raises(ValueError, match=f"the role '{role}' gives no vectors"):
            width(role, profile, **options)
    with pytest.raises(ValueError, match="the role 'text' prepares nothing"):
        preparation("text", profile, **options)


def test_attention_kernels(cache):
    images = GIVEN["visual"][0]
    eager, sdpa = (load("visual", "tiny", cache=cache, attention=name) for name in ("eager", "sdpa"))
    np.testing.assert_allclose(eager.encode(images), sdpa.encode(images), atol=1e-5)
    assert eager.identity == sdpa.identity
    assert eager._model.config._attn_implementation == "eager"
    with pytest.raises(ValueError, match="attention must be one of eager, sdpa, flash_attention_2, not 'fast'"):
        load("visual", "tiny", cache=cache, attention="fast")
    with pytest.raises(EncoderError, match="attention = 'flash_attention_2' is not available on this machine"):
        load("visual", "tiny", cache=cache, attention="flash_attention_2")


@pytest.mark.slow
def test_compiled_models_give_the_same(cache):
    for role in ("visual", "captions"):
        plain, compiled = (load(role, "tiny", cache=cache, compile=flag) for flag in (False, True))
        for count in (1, 3):
            same(
                plain.from_prepared([plain.prepare(IMAGES[:count])]),
                compiled.from_prepared([compiled.prepare(IMAGES[:count])]),
            )
