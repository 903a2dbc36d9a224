"""Posts of a few authors over a few days, with a known signal, as samples of predictors that read earlier posts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from models.predictors import Bank, EarlierPosts, Neighbourhood, PublishedPosts, Rows, Samples, Table, VideoFeatures

WIDTHS = {"visual": 5, "text": 4}
CATEGORIES = (("music", "talk"), ("music/live", "music/studio", "talk/news"))
PATHS = np.array([[1, 1], [1, 2], [2, 3], [2, 0], [0, 0]])


def make_posts(
    count: int = 40, *, authors: int = 5, seed: int = 0, complete: bool = False, categories: bool = True
) -> PublishedPosts:
    """Random posts; unless `complete`, some lack a modality, an author or a time."""
    rng = np.random.default_rng(seed)
    time = np.sort(rng.uniform(0.0, 96.0, count)).round(1)
    author = rng.integers(0, authors, count)
    content = {name: rng.normal(size=(count, width)).astype(np.float32) for name, width in WIDTHS.items()}
    calendar = np.column_stack([np.full(count, 12), 1 + time // 24, time % 24]).astype(int)
    if not complete:
        time[-2:], calendar[-2:] = np.nan, -1
        author[rng.random(count) < 0.1] = -1
        for rows in content.values():
            rows[rng.random(count) < 0.2] = np.nan
    return PublishedPosts(
        time=time,
        content=content,
        calendar=calendar,
        author=author,
        authors=tuple(f"author{number}" for number in range(authors)),
        category=PATHS[rng.integers(0, len(PATHS), count)] if categories else np.zeros((count, 0), int),
        categories=CATEGORIES if categories else (),
    )


def author_table(posts: EarlierPosts, *, seed: int = 0) -> Table:
    """Two statistics of the author, of which some are unknown, beside a column that is none."""
    numbers = np.random.default_rng(seed).exponential(50.0, (len(posts.posts.authors), 2))
    own = posts.posts.author[posts.own]
    values = np.where(own[:, None] < 0, np.nan, numbers[own])
    return Table(
        np.column_stack([values, np.full(len(own), 30.0)]), ("author_fans", "author_posts_undated", "duration")
    )


def samples_of(posts: PublishedPosts, own: np.ndarray, target: np.ndarray, *, statistics: bool = True) -> Samples:
    """Samples without feature rows and neighbours, which these predictors do not read."""
    earlier, n = EarlierPosts(posts, own), len(own)
    nothing = Rows(np.zeros((n, 1, 1), np.float32), np.zeros((n, 1), bool))
    alone = np.zeros((n, 1), bool)
    return Samples(
        items=np.array([f"item{row}" for row in own]),
        features=VideoFeatures(visual=nothing, acoustic=nothing, text=nothing, temporal=nothing),
        neighbourhood=Neighbourhood(
            np.zeros((n, 1), int), np.zeros((n, 1), np.float32), alone, np.zeros((n, 1, target.shape[1]), np.float32)
        ),
        target=target,
        table=author_table(earlier) if statistics else None,
        posts=earlier,
    )


def bank_of(samples: Samples) -> Bank:
    return Bank(np.array(["nobody"]), samples.features.take(np.array([0])), samples.table.take(np.array([0])))


def split(samples: Samples) -> tuple[Samples, Samples, Samples]:
    """60 % of the windows for training, 20 % each for validation and test, in order."""
    parts = np.split(np.arange(len(samples)), [int(0.6 * len(samples)), int(0.8 * len(samples))])
    return tuple(take(samples, rows) for rows in parts)


def take(samples: Samples, rows: np.ndarray) -> Samples:
    return replace(
        samples,
        items=samples.items[rows],
        features=samples.features.take(rows),
        neighbourhood=samples.neighbourhood.take(rows),
        target=samples.target[rows],
        table=None if samples.table is None else samples.table.take(rows),
        posts=samples.posts.take(rows),
    )


def with_post_changed(posts: PublishedPosts, row: int) -> PublishedPosts:
    """The same posts; that of one row has other content, another author and another category."""
    content = {name: rows.copy() for name, rows in posts.content.items()}
    for rows in content.values():
        rows[row] = 9.0
    author, category = posts.author.copy(), posts.category.copy()
    author[row] = (author[row] + 1) % len(posts.authors)
    category[row] = 0
    return replace(posts, content=content, author=author, category=category)


def randomise(network: nn.Module, *, seed: int = 0) -> nn.Module:
    """Random float64 weights and statistics, and evaluation mode."""
    torch.manual_seed(seed)
    network.double().eval()
    with torch.no_grad():
        for name, value in network.state_dict().items():
            value.copy_(torch.rand_like(value) + 0.5 if name.endswith("scale") else 0.6 * torch.randn_like(value))
    return network


class PostReference:
    """Shared parts of the references in plain NumPy; `weights` may be changed, to see that it would be noticed."""

    def __init__(self, network: nn.Module) -> None:
        self.network, self.config, self.form = network, network.config, network.form
        self.weights = {name: value.double().numpy().copy() for name, value in network.state_dict().items()}

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        bias = self.weights.get(f"{name}.bias")
        return x @ self.weights[f"{name}.weight"].T + (0.0 if bias is None else bias)

    def layer_norm(self, name: str, x: np.ndarray) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
        return scaled * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def lstm(self, name: str, x: np.ndarray) -> np.ndarray:
        """Hidden states (l, d) of one sequence (l, inputs)."""
        part = {key: self.weights[f"{name}.{key}_l0"] for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
        hidden = cell = np.zeros(part["weight_hh"].shape[1])
        states = []
        for row in x:
            sums = part["weight_ih"] @ row + part["bias_ih"] + part["weight_hh"] @ hidden + part["bias_hh"]
            i, f, g, o = np.split(sums, 4)
            cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
            hidden = sigmoid(o) * np.tanh(cell)
            states.append(hidden)
        return np.array(states)

    def statistics(self, table: Table) -> np.ndarray:
        """The statistics that the network reads, (b, u)."""
        return table.numeric[:, [table.numeric_names.index(name) for name in self.network.author.statistics.columns]]

    def content(self, posts: PublishedPosts, rows: list[int], name: str) -> np.ndarray:
        values = posts.content[name][rows].astype(np.float64)
        scaled = (values - self.weights[f"standardise.{name}.mean"]) / self.weights[f"standardise.{name}.scale"]
        return np.where(np.isnan(values), 0.0, scaled)

    def author(self, posts: PublishedPosts, row: int, statistics: np.ndarray, *, calendar: bool) -> np.ndarray:
        """[id, statistics, which are unknown, month, day, hour] of one post."""
        name = posts.authors[posts.author[row]] if posts.author[row] >= 0 else None
        code = self.form.authors.index(name) + 1 if name in self.form.authors else 0
        parts = [self.weights["author.embed.weight"][code]]
        if len(statistics):
            logs = np.sign(statistics) * np.log(1.0 + np.abs(statistics))
            scale = {name: self.weights[f"author.statistics.standardise.{name}"] for name in ("mean", "scale")}
            marked = np.concatenate([np.nan_to_num((logs - scale["mean"]) / scale["scale"]), np.isnan(logs)])
            parts.append(marked * (not np.isnan(logs).all()))  # nothing is known: not even that it is unknown
        if calendar:
            for value, first, count in zip(posts.calendar[row], (1, 1, 0), (12, 31, 24), strict=True):
                parts.append(np.arange(first, first + count) == value)
            parts[-3:] = [np.concatenate(parts[-3:]) * self.weights["author.trained_dates"]]
        return np.concatenate(parts).astype(np.float64)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def softmax(x: np.ndarray) -> np.ndarray:
    weights = np.exp(x - x.max())
    return weights / weights.sum()
