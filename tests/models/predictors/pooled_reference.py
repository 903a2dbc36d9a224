"""Networks over pooled content in plain NumPy, float64, video by video; and random inputs for them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from models.predictors import Table
from models.predictors.pooled_network import PooledNetwork
from models.predictors.samples import Minibatch
from tests.models.predictors.test_m3tr import ROWS, hood, videos

WIDTHS = {"visual": 3, "acoustic": 4, "text": 5}
COLUMNS = ("duration", "author_followers", "history_mean")


def table_of(count: int, seed: int) -> Table:
    """Numbers of which some are unknown, all of them in the second row; the authors a and b, one unseen, one unknown."""
    rng = np.random.default_rng(seed)
    numbers = np.where(rng.random((count, 4)) < 0.3, np.nan, 10.0 * rng.normal(size=(count, 4)))
    numbers[1] = np.nan
    authors = np.resize(np.array(["a", "b", "unseen", ""], object), count)
    return Table(numbers, (*COLUMNS, "events"), authors[:, None], ("author",))


def batch_of(*, targets: int = 2, extra_rows: int = 0) -> Minibatch:
    """Four windows, the second without anything, with five neighbours; the labels of some are unknown.

    Args:
        targets: T.
        extra_rows: Masked rows to add at the end of every sequence.
    """
    rng = np.random.default_rng(7)
    label = np.where(rng.random((4, targets)) < 0.3, np.nan, rng.normal(6.0, 2.0, (4, targets)))
    around = hood()
    theirs = np.where(rng.random((4, 3, targets)) < 0.3, np.nan, rng.normal(6.0, 2.0, (4, 3, targets)))
    theirs = np.where(around.mask[..., None], theirs, 0.0)
    parts = [videos(4, 0), videos(5, 1)]
    for part in parts:
        for name in ROWS if extra_rows else ():
            values, mask = getattr(part, name), getattr(part, f"{name}_mask")
            object.__setattr__(part, name, torch.nn.functional.pad(values, (0, 0, 0, extra_rows)))
            object.__setattr__(part, f"{name}_mask", torch.nn.functional.pad(mask, (0, extra_rows)))
    return Minibatch(
        target=parts[0],
        neighbours=parts[1],
        neighbourhood=type(around)(around.index, around.score, around.mask, torch.from_numpy(theirs)),
        label=torch.from_numpy(label),
        feedback=None,
        tables=(table_of(4, 1), table_of(5, 2)),
    )


def randomised(build: Callable[[], PooledNetwork]) -> PooledNetwork:
    """Return a network with random weights and scales, in float64 and in evaluation mode."""
    torch.manual_seed(0)
    network = build().double().eval()
    with torch.no_grad():
        for name, value in network.state_dict().items():
            value.copy_(torch.rand_like(value) + 0.5 if name.endswith("scale") else 0.7 * torch.randn_like(value))
    return network


class PooledReference:
    """What the networks share; `weights` may be changed, to see that it would be noticed."""

    def __init__(self, network: PooledNetwork) -> None:
        self.network, self.config = network, network.config
        self.weights = {name: value.numpy().copy() for name, value in network.state_dict().items()}

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        return x @ self.weights[f"{name}.weight"].T + self.weights.get(f"{name}.bias", 0.0)

    def perceptron(self, name: str, x: np.ndarray, *, last: int = 2) -> np.ndarray:
        """A linear layer, ReLU, and the linear layer at place `last`."""
        return self.linear(f"{name}.{last}", np.maximum(self.linear(f"{name}.0", x), 0.0))

    def standardise(self, name: str, x: np.ndarray) -> np.ndarray:
        return (x - self.weights[f"{name}.mean"]) / self.weights[f"{name}.scale"]

    def columns(self, name: str, table: Table, video: int, columns: tuple[str, ...]) -> np.ndarray | None:
        """Standardised numbers and marks of the columns, None where no number is known."""
        numbers = np.array([table.numeric[video, table.numeric_names.index(column)] for column in columns])
        unknown = np.isnan(numbers)
        if unknown.all():
            return None
        scaled = self.standardise(f"{name}.standardise", np.sign(numbers) * np.log(1.0 + np.abs(numbers)))
        return np.concatenate([np.where(unknown, 0.0, scaled), unknown])

    def pool(self, batch: Minibatch, video: int, *, neighbours: bool = False) -> dict[str, np.ndarray | None]:
        """One vector per modality, None where the video lacks it."""
        part, table = (batch.neighbours, batch.tables[1]) if neighbours else (batch.target, batch.tables[0])
        pooled: dict[str, np.ndarray | None] = {}
        for name in self.network.content.row_widths:
            rows = getattr(part, name)[video][getattr(part, f"{name}_mask")[video]].numpy()
            pooled[name] = self.standardise(f"content.standardise.{name}", rows.mean(0)) if len(rows) else None
        columns = self.network.content.social.columns
        if columns:
            pooled["social"] = self.columns("content.social", table, video, columns)
        return pooled

    def experts(self, pooled: dict[str, np.ndarray | None], name: str = "experts") -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the product of the experts of the modalities that are there."""
        precision = weighted = np.zeros(self.config.latent)
        for modality, vector in pooled.items():
            if vector is not None:
                output = self.perceptron(f"{name}.experts.{modality}", vector, last=3)
                mean, std = output[: self.config.latent], np.exp(np.clip(output[self.config.latent :], -20, 2))
                precision, weighted = precision + std**-2, weighted + mean * std**-2
        if not precision.any():
            return np.zeros(self.config.latent), np.ones(self.config.latent)
        return weighted / precision, precision**-0.5

    def unstandardise(self, y: np.ndarray) -> np.ndarray:
        return y * self.weights["standardise_target.scale"] + self.weights["standardise_target.mean"]


def kl(mean: np.ndarray, std: np.ndarray, prior_mean: np.ndarray, prior_std: np.ndarray) -> float:
    """KL(N(mean, std^2) || N(prior mean, prior std^2)), by its closed form."""
    ratio = (std**2 + (mean - prior_mean) ** 2) / prior_std**2
    return float(np.sum(np.log(prior_std / std) + ratio / 2 - 0.5))
