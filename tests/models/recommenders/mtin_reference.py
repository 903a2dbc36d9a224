"""MTIN's forward pass user by user in plain NumPy, float64, written from equations 2 to 12 and algorithm 1."""

from __future__ import annotations

import math

import numpy as np

from tests.models.recommenders.click_reference import Reference, relu, sigmoid, softmax


def routed(p: np.ndarray, *, rounds: int, base: float, threshold: float) -> np.ndarray:
    """Algorithm 1 with sets of clicks; p is (L, s)."""
    pointer = [-1] * len(p)
    groups: list[set[int]] = [set() for _ in range(p.shape[1])]
    for _ in range(rounds):
        for j in range(len(p)):
            discounted = []
            for g, members in enumerate(groups):
                average = np.mean([p[m, g] for m in members]) if members else -np.inf
                discounted.append(p[j, g] / math.log(base + max(average - p[j, g], 0.0), base))
            best = int(np.argmax(discounted))
            if best != pointer[j] and discounted[best] > threshold:
                if pointer[j] >= 0:
                    groups[pointer[j]].remove(j)
                pointer[j] = best
                groups[best].add(j)
    return np.array(pointer, int)


class MTINReference(Reference):
    def score(self, batch, row, x, clicks, skips, ages, candidates):
        parts = []
        for name, rows in (("clicked", clicks), ("skipped", skips)):
            history = getattr(batch, name)
            own_ages = history.age[row].numpy()[: len(rows)]
            memory = self.weights[f"sides.{name}.memory.weight"]
            own = memory[batch.user[row] if self.config.memory == "pretrained" else 0]
            c = own.reshape(-1, self.config.width)
            routed, centres = x, c
            if not self.config.route_gradient:
                kept = self.weights[f"sides.{name}.pretrained"]
                centres = kept[batch.user[row] if self.config.memory == "pretrained" else 0].reshape(c.shape)
                routed = self.items(batch, "start_items")
            p = self.matching(f"sides.{name}.match", routed[rows], centres)
            q = self.user(f"sides.{name}", x[rows], own_ages, c, sigmoid(p))
            parts.append(self.pair_score(f"scores.{name}", q, x[candidates]))
        return self.weights["balance"] @ np.array(parts)

    def matching(self, name: str, x: np.ndarray, c: np.ndarray) -> np.ndarray:
        """Eq. 2-4, (L, s)."""
        p = np.zeros((len(x), len(c)))
        for j, click in enumerate(x):
            for g, group in enumerate(c):
                inner = np.tanh(self.linear(f"{name}.item", click) + self.linear(f"{name}.group", group))
                s = self.linear(f"{name}.attention", inner)
                hidden = relu(self.linear(f"{name}.hidden", np.concatenate([s * click, s * group])))
                p[j, g] = self.linear(f"{name}.output", hidden)[0]
        return p

    def user(self, name: str, x: np.ndarray, ages: np.ndarray, c: np.ndarray, score: np.ndarray) -> np.ndarray:
        config = self.config
        group = routed(score, rounds=config.rounds, base=config.base, threshold=config.threshold)
        r = np.array([self.group(f"{name}.temporal", g, x[group == g], ages[group == g], ages) for g in range(len(c))])
        w = softmax(c @ self.weights[f"{name}.group_mask.metric"] @ r.T)
        limit = 1 / (2 * len(c)) if config.group_threshold is None else config.group_threshold
        kept = (w > limit).astype(float)
        h = kept @ r
        if config.mask == "weighted":
            h = np.array([(k * v) @ r / (k * v).sum() if k.any() else np.zeros(r.shape[1]) for k, v in zip(kept, w)])
        updated = c.copy()
        if config.aggregation in ("sum", "both"):
            updated = updated + r + h
        if config.aggregation in ("concat", "both"):
            updated = updated + self.linear(f"{name}.join", np.concatenate([r, h], 1))
        return updated.sum(0)

    def group(self, name: str, g: int, x: np.ndarray, ages: np.ndarray, all_ages: np.ndarray) -> np.ndarray:
        """Eq. 5-7 for one group with the clicks x."""
        config, (length, d) = self.config, x.shape
        if not length:
            return self.weights[f"{name}.empty"]
        gaps = -np.diff(all_ages)
        unit = max(np.sort(gaps)[(len(gaps) - 1) // 2], 1 / 60) if len(gaps) else 1.0
        rates = np.log1p(np.exp(self.weights[f"{name}.decay"]))
        parts = []
        for k in range(config.masks):
            total = np.zeros(d)
            for i in range(length):
                for j in range(i):
                    q = x[i] @ self.weights[f"{name}.bilinear"][g, k] @ x[j]
                    lag = i - j if config.clock == "rank" else (ages[j] - ages[i]) / unit
                    total += math.exp(-lag * rates[k]) * q * x[j]
            parts.append(total)
        r = np.concatenate(parts)
        if config.scale:
            r = self.norm(f"{name}.norm", r / length / math.sqrt(d))
        return self.linear(f"{name}.mix.2", relu(self.linear(f"{name}.mix.0", r)))
