"""Every click model's scores, user by user in plain NumPy, float64, written from the papers' equations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from models.recommenders.click_batch import ClickBatch, History
from models.recommenders.click_network import ClickNetwork

Weights = dict[str, np.ndarray]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0.0)


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    weights = np.exp(x - x.max(axis, keepdims=True))
    return weights / weights.sum(axis, keepdims=True)


class Reference:
    """The network computed another way; `weights` and `config` may be changed, to see that it would be noticed."""

    def __init__(self, network: ClickNetwork) -> None:
        self.config: Any = network.config
        self.weights = {name: value.double().numpy().copy() for name, value in network.state_dict().items()}

    def scores(self, batch: ClickBatch) -> np.ndarray:
        """Return (b, c)."""
        rows = []
        for row in range(len(batch.user)):
            x = self.items(batch, "items")
            clicks = self.history(batch.clicked, row)
            skips = self.history(batch.skipped, row)
            ages = batch.clicked.age[row].numpy()[: len(clicks)]
            candidates = batch.candidate[row].numpy()
            rows.append(self.score(batch, row, x, clicks, skips, ages, candidates))
        return np.array(rows)

    def score(self, batch, row, x, clicks, skips, ages, candidates) -> np.ndarray:
        raise NotImplementedError

    def history(self, history: History, row: int) -> np.ndarray:
        return history.index[row][history.mask[row]].numpy()

    def items(self, batch: ClickBatch, name: str) -> np.ndarray:
        content = (batch.content.numpy() - self.weights[f"{name}.standardise.mean"]) / self.weights[
            f"{name}.standardise.scale"
        ]
        x = self.linear(f"{name}.content", np.where(np.isnan(content), 0.0, content))
        if f"{name}.ids.weight" in self.weights:
            x = x + self.weights[f"{name}.ids.weight"][batch.item.numpy()]
        if f"{name}.category.weight" in self.weights:
            x = np.concatenate([x, self.weights[f"{name}.category.weight"][batch.category.numpy()]], 1)
        return x

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        return x @ self.weights[f"{name}.weight"].T + self.weights.get(f"{name}.bias", 0.0)

    def norm(self, name: str, x: np.ndarray) -> np.ndarray:
        scaled = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        return scaled * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def pair_score(self, name: str, user: np.ndarray, items: np.ndarray) -> np.ndarray:
        """MLP([q, x_e]) with the two halves of the first matrix side by side, and the weighted product if there is one."""
        first = np.concatenate([self.weights[f"{name}.user.weight"], self.weights[f"{name}.item.weight"]], 1)
        users = np.broadcast_to(user, (len(items), user.shape[-1]))
        hidden = relu(np.concatenate([users, items], 1) @ first.T + self.weights[f"{name}.user.bias"])
        weights = self.weights.get(f"{name}.product")
        product = 0.0 if weights is None else np.array([(q * x) @ weights for q, x in zip(users, items, strict=True)])
        return self.linear(f"{name}.output", hidden)[:, 0] + product


class BPRReference(Reference):
    def score(self, batch, row, x, clicks, skips, ages, candidates):
        return x[candidates] @ self.weights["users.weight"][batch.user[row]]


class LSTMReference(Reference):
    def score(self, batch, row, x, clicks, skips, ages, candidates):
        states = self.states(x[clicks])
        user = states.mean(0) if len(states) else np.zeros(self.config.width)
        return self.pair_score("score", user, x[candidates])

    def states(self, rows: np.ndarray) -> np.ndarray:
        w = {name.removeprefix("recurrent."): value for name, value in self.weights.items() if "recurrent" in name}
        h = c = np.zeros(self.config.width)
        states = []
        for row in rows:
            gates = w["weight_ih_l0"] @ row + w["bias_ih_l0"] + w["weight_hh_l0"] @ h + w["bias_hh_l0"]
            take, keep, new, give = np.split(gates, 4)
            c = sigmoid(keep) * c + sigmoid(take) * np.tanh(new)
            h = sigmoid(give) * np.tanh(c)
            states.append(h)
        return np.array(states)


class CNNReference(Reference):
    def score(self, batch, row, x, clicks, skips, ages, candidates):
        user = []
        for number in range(self.config.widest):
            weight, bias = (self.weights[f"filters.{number}.{part}"] for part in ("weight", "bias"))
            padded = np.concatenate([np.zeros((number, x.shape[1])), x[clicks]])
            responses = [
                np.einsum("fdw,wd->f", weight, padded[place : place + number + 1]) + bias
                for place in range(len(clicks))
            ]
            user.append(np.max([np.zeros(len(bias)), *responses], axis=0))  # ReLU, and zero without a click
        return self.pair_score("score", np.concatenate(user), x[candidates])


class NCFReference(Reference):
    def score(self, batch, row, x, clicks, skips, ages, candidates):
        user, deep = batch.user[row], self.items(batch, "deep_items")[candidates]
        product = self.weights["users.weight"][user] * x[candidates]
        first = np.concatenate([self.weights["first_user.weight"], self.weights["first_item.weight"]], 1)
        both = np.concatenate([np.tile(self.weights["deep_users.weight"][user], (len(deep), 1)), deep], 1)
        hidden = relu(self.linear("second", relu(both @ first.T + self.weights["first_user.bias"])))
        return self.linear("output", np.concatenate([product, hidden], 1))[:, 0]


class ATRankReference(Reference):
    def score(self, batch, row, x, clicks, skips, ages, candidates):
        classes = [0 if age < 24 else min(11, math.floor(math.log2(age / 24)) + 1) for age in ages]
        rows = self.linear("click", np.concatenate([x[clicks], np.eye(12)[np.array(classes, int)]], 1))
        rows = self.block("among", rows, rows)
        asked = self.linear("candidate", x[candidates])
        users = self.block("towards", asked, rows)
        return (users * asked).sum(1) + self.linear("bias", x[candidates])[:, 0]

    def block(self, name: str, queries: np.ndarray, keys: np.ndarray) -> np.ndarray:
        q, k, v = (
            relu(self.linear(f"{name}.{part}", rows))
            for part, rows in (("query", queries), ("key", keys), ("value", keys))
        )
        wide, attended = q.shape[1] // self.config.heads, np.zeros_like(q)
        for head in range(self.config.heads):
            part = slice(head * wide, (head + 1) * wide)
            if len(keys):
                attended[:, part] = softmax(q[:, part] @ k[:, part].T / math.sqrt(wide)) @ v[:, part]
        rows = self.norm(f"{name}.norms.0", queries + attended)
        return self.norm(
            f"{name}.norms.1", rows + self.linear(f"{name}.between.2", relu(self.linear(f"{name}.between.0", rows)))
        )


class THACILReference(Reference):
    def score(self, batch, row, x, clicks, skips, ages, candidates):
        d, size = self.config.width, self.config.block
        within = []
        for begin in range(0, len(clicks), size):
            items, categories = np.split(x[clicks[begin : begin + size]], [d], axis=1)
            within.append(
                np.concatenate(
                    [
                        self.attend("item_level", items, categories),
                        self.attend("category_level", categories, items),
                    ]
                )
            )
        users = np.zeros((len(candidates), 2 * d))
        if within:
            h = np.array(within)
            blocks = self.norm("norm", h + self.later(h))
            for number, asked in enumerate(x[candidates]):
                users[number] = self.attend("towards", blocks, asked)
        return self.pair_score("score", users, x[candidates])

    def attend(self, name: str, rows: np.ndarray, query: np.ndarray) -> np.ndarray:
        scores = self.linear(
            f"{name}.output", relu(self.linear(f"{name}.row", rows) + self.linear(f"{name}.query", query))
        )
        return (softmax(scores, 0) * rows).sum(0)

    def later(self, h: np.ndarray) -> np.ndarray:
        split, wide = self.linear("later.split", h), h.shape[1] // self.config.heads
        result = np.zeros_like(h)
        for head in range(self.config.heads):
            part = split[:, head * wide : (head + 1) * wide]
            for i in range(len(h) - 1):
                raw = (
                    part[i] @ self.weights["later.own"][head]
                    + part[i + 1 :] @ self.weights["later.other"][head]
                    + self.weights["later.bias"][head, 0, 0]
                )
                weights = softmax(5 * np.tanh(raw / 5), 0)
                result[i, head * wide : (head + 1) * wide] = (weights * part[i + 1 :]).sum(0)
        return result


class ALPINEReference(Reference):
    def score(self, batch, row, x, clicks, skips, ages, candidates):
        content = np.nan_to_num(batch.content.numpy())
        query = self.linear("query", x[candidates])
        parts = []
        for name, rows in (("clicked", clicks), ("skipped", skips)):
            states = self.states(name, x[rows], content[rows])
            users = np.zeros((len(candidates), self.config.width))
            if len(rows):
                users = softmax(query @ states.T / math.sqrt(self.config.width)) @ states
            parts.append(self.pair_score(f"scores.{name}", users, x[candidates]))
        mean = x[clicks].mean(0) if len(clicks) else np.zeros(x.shape[1])
        parts.append(self.pair_score("mean_score", mean, x[candidates]))
        return 0.58 * parts[0] + 0.18 * parts[1] + 0.24 * parts[2]

    def states(self, name: str, rows: np.ndarray, content: np.ndarray) -> np.ndarray:
        h = [np.zeros(self.config.width)]
        cells = [np.zeros(self.config.width)] * 2
        for step in range(len(rows)):
            near = h[0]
            if step:
                near = h[1 + int(((content[:step] - content[step]) ** 2).sum(1).argmin())]
            recurrent = np.concatenate(
                [self.linear(f"graphs.{name}.previous", h[-1]), self.linear(f"graphs.{name}.similar", near)]
            ) + self.linear(f"graphs.{name}.inputs", rows[step])
            state = np.zeros(self.config.width)
            for cell, gates in enumerate(np.split(recurrent, 2)):
                take, keep, new, give = np.split(gates, 4)
                cells[cell] = sigmoid(keep) * cells[cell] + sigmoid(take) * np.tanh(new)
                state = state + sigmoid(give) * np.tanh(cells[cell])
            h.append(state)
        return np.array(h[1:])
