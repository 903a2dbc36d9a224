"""A small world in which it is known what a predictor can learn, and from where.

log2 of an item's popularity = its archetype's gain (seen in visual and acoustic rows; four archetypes) + its rate (seen
in the gaps of its temporal rows) + its circle's taste (60 circles; the text tells which circle, but only the labels of
other items of the circle tell its taste) + noise. So content, feedback and retrieved labels each carry a third.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.predictors import Bank, Neighbourhood, Rows, Samples, VideoFeatures

FRAMES, WORDS, EVENTS = 10, 6, 64
WIDTHS = {"visual": 24, "acoustic": 16, "text": 32, "temporal": 16}


@dataclass(frozen=True)
class World:
    train: Samples
    dev: Samples
    test: Samples
    bank: Bank
    noise: float  # variance of the label that nothing explains, over its whole variance


def make_world(*, items: int = 600, neighbours: int = 10, seed: int = 0, circles: int = 60) -> World:
    rng = np.random.default_rng(seed)
    archetype, circle = rng.integers(0, 4, items), rng.integers(0, circles, items)
    gain = np.array([-1.5, -0.5, 0.5, 1.5])[archetype]
    log_rate = rng.normal(0.0, 1.0, items)
    taste = rng.normal(0.0, 1.0, circles)[circle]
    noise = rng.normal(0.0, 0.4, items)
    target = 6.0 + gain + log_rate + taste + noise

    def prototypes(n: int, width: int) -> np.ndarray:
        return rng.normal(size=(n, width))

    def rows(centre: np.ndarray, length: int, spread: float) -> Rows:
        values = centre[:, None] + spread * rng.normal(size=(len(centre), length, centre.shape[1]))
        return Rows(values.astype(np.float32), np.ones(values.shape[:2], bool))

    visual = rows(prototypes(4, WIDTHS["visual"])[archetype], FRAMES, 1.5)
    acoustic = rows(prototypes(4, WIDTHS["acoustic"])[archetype], FRAMES, 1.5)
    text = rows(prototypes(circles, WIDTHS["text"])[circle], WORDS, 0.5)
    gaps = rng.exponential(size=(items, EVENTS)) * np.exp2(-log_rate)[:, None]
    signals = np.stack([np.log2(gaps), np.log2(np.cumsum(gaps, 1))], -1)  # (items, L, 2)
    mixed = signals @ rng.normal(size=(2, WIDTHS["temporal"])) + 0.3 * rng.normal(
        size=(items, EVENTS, WIDTHS["temporal"])
    )
    temporal = Rows(mixed.astype(np.float32), np.ones((items, EVENTS), bool))
    features = VideoFeatures(visual=visual, acoustic=acoustic, text=text, temporal=temporal)

    names = np.array([f"item{i}" for i in range(items)])
    cut = [int(0.8 * items), int(0.9 * items)]
    train, dev, test = np.split(np.arange(items), cut)
    content = text.values.mean(1) / np.linalg.norm(text.values.mean(1), axis=1, keepdims=True)
    bank = Bank(items=names[train], features=features.take(train))

    def samples(part: np.ndarray) -> Samples:
        similarity = content[part] @ content[train].T  # (n, m)
        similarity[part[:, None] == train[None, :]] = -np.inf
        index = np.argsort(-similarity, axis=1, kind="stable")[:, :neighbours]
        neighbourhood = Neighbourhood(
            index=index,
            score=np.take_along_axis(similarity, index, 1).astype(np.float32),
            mask=np.ones(index.shape, bool),
            label=target[train][index, None].astype(np.float32),
        )
        return Samples(
            items=names[part], features=features.take(part), neighbourhood=neighbourhood, target=target[part, None]
        )

    return World(samples(train), samples(dev), samples(test), bank, float(noise.var() / target.var()))
