from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from pipeline.demonstration import sound
from pipeline.demonstration.plan import CATEGORIES, Style, Video

VIDEO = Video(
    item=1,
    author=1,
    category="dance",
    style=Style(0.8, 0.5, 0.5, 0.1),
    appeal=0.0,
    archetype="slow burn",
    published_at=0,
    upload=False,
    original=1,
    file="ok",
    sound=True,
)


def styled(**style: float) -> np.ndarray:
    return sound.synthesise(replace(VIDEO, style=replace(VIDEO.style, **style)), 3.0, 0)


def test_every_category_sounds_different_and_follows_from_the_seed():
    spectra = []
    for category in CATEGORIES:
        wave = sound.synthesise(replace(VIDEO, category=category), 2.5, 3)
        assert wave.shape == (60_000,) and wave.dtype == np.float32
        assert np.sqrt((wave**2).mean()) > 0.01 and np.abs(wave).max() <= 1
        assert np.array_equal(wave, sound.synthesise(replace(VIDEO, category=category), 2.5, 3))
        bands = np.abs(np.fft.rfft(wave)) ** 2
        edges = np.geomspace(1, bands.size - 1, 13).astype(int)
        energy = np.log([bands[a : b + 1].sum() for a, b in pairwise(edges)])
        spectra.append((energy - energy.mean()) / energy.std())
    likeness = np.corrcoef(spectra)
    assert likeness[~np.eye(len(spectra), dtype=bool)].max() < 0.99


def test_style_is_heard():
    swell = styled(drama=0.95)
    assert np.square(swell[-24_000:]).mean() > 2 * np.square(swell[:24_000]).mean()
    assert np.square(styled(colour=0.95)).mean() > 1.5 * np.square(styled(colour=0.05)).mean()

    def treble(wave: np.ndarray) -> float:
        return float((np.abs(np.fft.rfft(wave)[24_000:]) ** 2).sum())  # 8 kHz and above

    assert treble(styled(quality=0.05)) > 2 * treble(styled(quality=0.95))


@pytest.mark.parametrize(("pace", "tempo"), [(0.0, 1.2), (0.5, 2.5), (1.0, 3.8)])
def test_pace_is_the_tempo(pace: float, tempo: float):
    """The loudness of the dance beat repeats itself after one beat, and not after six tenths of one."""
    envelope = np.abs(styled(pace=pace)).reshape(-1, 240).mean(axis=1)  # 100 Hz

    def repeats(after: float) -> float:
        shift = round(100 * after / tempo)
        return float(np.corrcoef(envelope[:-shift], envelope[shift:])[0, 1])

    assert repeats(1.0) > 0.85
    assert repeats(0.6) < 0.3
