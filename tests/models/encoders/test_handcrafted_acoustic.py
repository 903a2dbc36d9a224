"""What the handcrafted acoustic encoder and describer say about sounds whose content is known."""

import numpy as np
import pytest

from models.encoders import EncoderError, load
from models.encoders.handcrafted.acoustic import BANDS, measure_sound

RATE = 16000
TIME = np.arange(2 * RATE, dtype=np.float32) / RATE
RNG = np.random.default_rng(0)


def sine(hertz: float, *, amplitude: float = 0.5, rate: int = RATE) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(2 * rate) / rate)).astype(np.float32)


def noise(amplitude: float = 0.1) -> np.ndarray:
    return (amplitude * RNG.standard_normal(len(TIME))).astype(np.float32)


def beats(hertz: float) -> np.ndarray:
    """Bursts of noise `hertz` times a second."""
    return (noise(0.3) * (TIME * hertz % 1 < 0.15)).astype(np.float32)


def test_a_tone_has_its_frequency_and_its_level():
    found = measure_sound([sine(1000), sine(200)], RATE)
    assert found.centroid == pytest.approx([1000, 200], rel=0.02)
    assert found.loudness == pytest.approx(10 * np.log10(0.125), abs=0.05)
    assert found.crossing == pytest.approx([1000, 200], rel=0.02)
    assert (found.flatness < 0.01).all() and (found.bandwidth < 100).all()
    assert found.mel_mean[0].argmax() > found.mel_mean[1].argmax()


def test_noise_is_flat_and_silence_is_silent():
    found = measure_sound([noise(), np.zeros_like(TIME)], RATE)
    assert found.flatness[0] > 0.5
    assert found.silent.tolist() == [False, True]
    assert found.mel_mean[1] == pytest.approx(np.zeros(BANDS), abs=1e-6)


def test_the_period_of_beats_is_found():
    found = measure_sound([beats(4), noise()], RATE)
    assert found.tempo[0] == pytest.approx(4, rel=0.1)
    assert found.rhythm[0] > found.rhythm[1] + 0.3


def test_the_sampling_rate_hardly_matters():
    encoder = load("acoustic", "handcrafted")
    low, high = encoder.encode([sine(700)], RATE), encoder.encode([sine(700, rate=48000)], 48000)
    np.testing.assert_allclose(low, high, atol=0.15)
    assert abs(low - encoder.encode([sine(2000)], RATE)).max() > 0.5


def test_a_segment_is_encoded_the_same_alone_and_among_others():
    encoder = load("acoustic", "handcrafted")
    segments = [noise(), sine(300), np.zeros(RATE, dtype=np.float32), beats(2)]
    together = encoder.encode(segments, RATE)
    assert together.shape == (4, encoder.width) and together.dtype == np.float32 and np.isfinite(together).all()
    for segment, row in zip(segments, together):
        np.testing.assert_allclose(encoder.encode([segment], RATE)[0], row, atol=1e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_samples_that_nothing_finite_can_be_measured_of_are_refused(value):
    for role, use in (("acoustic", "encode"), ("sounds", "describe")):
        with pytest.raises(EncoderError, match="segments 0 to 0 hold samples that are not finite, or above 1e"):
            getattr(load(role, "handcrafted"), use)([np.full(RATE, value, dtype=np.float32)], RATE)
    assert np.isfinite(load("acoustic", "handcrafted").encode([np.full(RATE, 9e11, dtype=np.float32)], RATE)).all()


def test_wrong_segments_are_refused():
    encoder = load("acoustic", "handcrafted")
    with pytest.raises(EncoderError, match=r"segment 1 has shape \(5,\)"):
        encoder.encode([noise(), np.zeros(5, dtype=np.float32)], RATE)
    with pytest.raises(EncoderError, match="not finite"):
        encoder.encode([np.full(RATE, np.nan, dtype=np.float32)], RATE)
    assert encoder.encode([], RATE).shape == (0, encoder.width)


def test_descriptions_fit_the_sound():
    describer = load("sounds", "handcrafted", top=5)
    silent, bass, hiss, rhythm = describer.describe([0 * TIME, sine(80), noise(0.5), beats(3)], RATE)
    assert silent == [("silence", 1.0)]
    assert {"bass-heavy sound", "tonal sound", "steady sound"} <= {name for name, _ in bass}
    assert {"noisy sound", "loud sound"} <= {name for name, _ in hiss}
    assert "rhythmic sound" in {name for name, _ in rhythm}
    for described in (bass, hiss, rhythm):
        scores = [score for _, score in described]
        assert (
            1 <= len(described) <= 5 and scores == sorted(scores, reverse=True) and 0.1 <= scores[-1] <= scores[0] <= 1
        )


def test_the_number_of_descriptions_must_be_positive():
    with pytest.raises(ValueError, match="top must be at least 1"):
        load("sounds", "handcrafted", top=0)
