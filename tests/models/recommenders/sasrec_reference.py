"""SASRec's forward pass sequence by sequence in plain NumPy, float64 (Kang and McAuley 2018; MUFM, appendix 5)."""

from __future__ import annotations

from math import erf, sqrt

import numpy as np

from models.recommenders.sasrec_network import SASRecNetwork


class Reference:
    """The network computed another way; `weights` may be changed, to see that it would be noticed."""

    def __init__(self, network: SASRecNetwork) -> None:
        self.config = network.config
        self.modalities = list(network.items.widths)
        self.weights = {name: value.double().numpy().copy() for name, value in network.state_dict().items()}

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        return x @ self.weights[f"{name}.weight"].T + self.weights.get(f"{name}.bias", 0.0)

    def norm(self, name: str, x: np.ndarray) -> np.ndarray:
        centred = x - x.mean()
        unit = centred / np.sqrt((centred**2).mean() + 1e-5)
        return unit * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def item(self, content: dict[str, np.ndarray], row: int) -> np.ndarray:
        """m_j of one item from its standardised content."""
        ids = self.weights["items.ids.weight"][row] if self.config.ids else 0.0
        if not self.modalities:
            return ids
        parts = [self.linear(f"items.project.{name}", content[name]) for name in self.modalities]
        return self.norm("items.normalise", self.linear("items.join", np.concatenate(parts)) + ids)

    def users(self, clicks: list[np.ndarray]) -> list[np.ndarray]:
        """F_t after each click, for one user's item vectors in order."""
        x = [click + self.weights["place.weight"][place] for place, click in enumerate(clicks)]
        post = self.config.norm == "post"
        x = [self.norm("normalise", row) for row in x] if post else x
        for number in range(self.config.layers):
            for layer, name in ((self.attend, "0"), (self.feed, "1")):
                norm = f"blocks.{number}.normalise.{name}"
                if post:
                    x = [self.norm(norm, row + out) for row, out in zip(x, layer(number, x), strict=True)]
                else:
                    out = layer(number, [self.norm(norm, row) for row in x])
                    x = [row + added for row, added in zip(x, out, strict=True)]
        return x if post else [self.norm("normalise", row) for row in x]

    def attend(self, block: int, x: list[np.ndarray]) -> list[np.ndarray]:
        width, heads = self.config.width, self.config.heads
        query, key, value = np.split(self.linear(f"blocks.{block}.project", np.stack(x)), 3, axis=1)
        size, mixed = width // heads, np.zeros((len(x), width))
        for place in range(len(x)):
            for head in range(heads):
                part = slice(head * size, (head + 1) * size)
                scores = np.array([query[place, part] @ key[other, part] / sqrt(size) for other in range(place + 1)])
                weights = np.exp(scores - scores.max())
                mixed[place, part] = (weights / weights.sum()) @ value[: place + 1, part]
        return list(self.linear(f"blocks.{block}.out", mixed))

    def feed(self, block: int, x: list[np.ndarray]) -> list[np.ndarray]:
        hidden = self.linear(f"blocks.{block}.inner", np.stack(x))
        if self.config.activation == "gelu":
            hidden = hidden * 0.5 * (1 + np.vectorize(erf)(hidden / sqrt(2)))
        else:
            hidden = np.maximum(hidden, 0)
        return list(self.linear(f"blocks.{block}.outer", hidden))
