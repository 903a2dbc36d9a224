"""The sound of a video: one synthesis per category; pace sets the tempo, quality the noise, drama a crescendo."""

import numpy as np

from pipeline.demonstration.plan import Video
from pipeline.demonstration.randomness import generator

RATE = 24_000  # Hz, mono


def synthesise(video: Video, seconds: float, seed: int) -> np.ndarray:
    """Return (samples,) float32 in [-1, 1] at `RATE`, the same for the same seed."""
    rng = generator(seed, "sound", video.original)
    style = video.style
    time = np.arange(round(seconds * RATE)) / RATE
    tempo = 1.2 + 2.6 * style.pace  # beats per second
    wave = SYNTHESES[video.category](time, tempo, rng)
    wave /= max(np.abs(wave).max(), 1e-9)
    swell = 1.0 + 1.5 * style.drama**2 * (time / seconds) ** 2
    hiss = 0.15 * (1 - style.quality) ** 2 * rng.standard_normal(time.size)
    loudness = 0.25 + 0.35 * style.colour
    return np.clip(loudness * swell * wave + hiss, -1.0, 1.0).astype(np.float32)


def _pulses(time: np.ndarray, rate: float, decay: float, shift: float = 0.0) -> np.ndarray:
    """Return an envelope of `rate` pulses per second, each decaying at `decay` per second."""
    return np.exp(-decay * (((time + shift) * rate) % 1.0) / rate)


def _tone(time: np.ndarray, pitch: np.ndarray | float, harmonics: int = 1) -> np.ndarray:
    """Return a tone whose k-th harmonic has amplitude 1/k; `pitch` is in Hz and may vary over time."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(pitch, time.shape)) / RATE
    return sum(np.sin(k * phase) / k for k in range(1, harmonics + 1))


def _noise(time: np.ndarray, rng: np.random.Generator, smooth: int = 1) -> np.ndarray:
    """Return noise of unit variance, low-pass filtered by a mean over `smooth` samples."""
    total = np.cumsum(rng.standard_normal(time.size + smooth))
    return (total[smooth:] - total[:-smooth]) / smooth**0.5


def _dance(time: np.ndarray, tempo: float, rng: np.random.Generator) -> np.ndarray:
    kick = _tone(time, 50 + 90 * _pulses(time, tempo, 30)) * _pulses(time, tempo, 9)
    hat = _noise(time, rng) * _pulses(time, 2 * tempo, 40, 0.5 / tempo)
    bass = _tone(time, 55 * 2 ** (rng.integers(0, 12) / 12), 4) * _pulses(time, tempo, 4, 0.5 / tempo)
    return kick + 0.15 * hat + 0.3 * bass


def _cooking(time: np.ndarray, tempo: float, rng: np.random.Generator) -> np.ndarray:
    crackle = _noise(time, rng) * (rng.random(time.size) < 0.002 * tempo) * 3
    clink = _tone(time, rng.uniform(1800, 3200)) * _pulses(time, 0.5 * tempo, 25)
    return 0.25 * _noise(time, rng) + crackle + 0.6 * clink


def _cats(time: np.ndarray, tempo: float, rng: np.random.Generator) -> np.ndarray:
    cycle = (time * 0.5 * tempo) % 1.0
    meow = _tone(time, rng.uniform(450, 700) * (1 + 0.5 * np.sin(np.pi * cycle)), 5) * np.sin(np.pi * cycle) ** 2
    purr = _noise(time, rng, 40) * (0.5 + 0.5 * np.sin(2 * np.pi * 25 * time))
    return meow + 0.3 * purr


def _cars(time: np.ndarray, tempo: float, rng: np.random.Generator) -> np.ndarray:
    revs = rng.uniform(50, 90) * (1 + 0.4 * np.sin(2 * np.pi * 0.3 * tempo * time))
    return _tone(time, revs, 12) + 0.5 * _noise(time, rng, 20)


def _nature(time: np.ndarray, tempo: float, rng: np.random.Generator) -> np.ndarray:
    wind = _noise(time, rng, 120) * (1 + 0.5 * np.sin(2 * np.pi * 0.4 * time + 6 * rng.random()))
    chirp = (time * tempo) % 1.0
    bird = _tone(time, rng.uniform(2500, 4000) * (1 + 0.3 * np.sin(40 * chirp))) * (chirp < 0.25)
    return 0.6 * wind + 0.7 * bird


def _sports(time: np.ndarray, tempo: float, rng: np.random.Generator) -> np.ndarray:
    crowd = _noise(time, rng, 12) * (1 + 0.6 * np.sin(2 * np.pi * 0.25 * tempo * time))
    thump = _tone(time, 120) * _pulses(time, 0.8 * tempo, 20)
    return 0.5 * crowd + 1.5 * thump


def _gaming(time: np.ndarray, tempo: float, rng: np.random.Generator) -> np.ndarray:
    scale = 220 * 2 ** (np.array([0, 3, 5, 7, 10, 12]) / 12)
    notes = scale[rng.integers(0, scale.size, int(time[-1] * 4 * tempo) + 2)]
    melody = np.sign(_tone(time, notes[(time * 4 * tempo).astype(int)]))
    zap = _tone(time, 2500 * _pulses(time, 0.7 * tempo, 8) + 100) * _pulses(time, 0.7 * tempo, 6)
    return 0.6 * melody + 0.4 * zap


def _news(time: np.ndarray, tempo: float, rng: np.random.Generator) -> np.ndarray:
    pitch = rng.uniform(100, 200) * (1 + 0.1 * np.sin(2 * np.pi * 0.6 * time))
    syllables = np.clip(np.sin(2 * np.pi * (2 + 1.2 * tempo) * time), 0, None) ** 0.5
    jingle = _tone(time, 880 * 2 ** (rng.integers(0, 5) / 12), 2) * _pulses(time, 0.5 * tempo, 6)
    return _tone(time, pitch, 10) * syllables + 0.4 * jingle


def _music(time: np.ndarray, tempo: float, rng: np.random.Generator) -> np.ndarray:
    root = 196 * 2 ** (rng.integers(0, 12) / 12)
    third = (3, 4)[rng.integers(2)]
    steps = np.array([0, 5, 7, 0])[(time * 0.5 * tempo).astype(int) % 4]
    chord = sum(_tone(time, root * 2 ** ((steps + interval) / 12), 3) for interval in (0, third, 7))
    return chord * (0.4 + 0.6 * _pulses(time, tempo, 3))


def _diy(time: np.ndarray, tempo: float, rng: np.random.Generator) -> np.ndarray:
    hammer = (_noise(time, rng) + _tone(time, rng.uniform(500, 900))) * _pulses(time, tempo, 45)
    drill = _tone(time, rng.uniform(180, 260), 8) * (np.sin(2 * np.pi * 0.35 * tempo * time) > 0.3)
    return hammer + 0.35 * drill


SYNTHESES = {
    "dance": _dance,
    "cooking": _cooking,
    "cats": _cats,
    "cars": _cars,
    "nature": _nature,
    "sports": _sports,
    "gaming": _gaming,
    "news": _news,
    "music": _music,
    "diy": _diy,
}
