"""Training of SASRec: passes over windows of clicks, early stopping, and the best pass's weights."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.predictors.ranges import COUNT, NOT_NEGATIVE, POSITIVE, check_ranges
from models.recommenders.click_sequences import ClickSequences
from models.recommenders.histories import UserHistories
from models.recommenders.history_split import HistorySplit
from models.recommenders.item_features import ItemFeatures
from models.recommenders.passes import run_passes
from models.recommenders.queries import Queries
from models.recommenders.ranking_metrics import click_metrics, ranks
from models.recommenders.recommender import RecommenderEpoch, RecommenderReport
from models.recommenders.sasrec_network import SASRecNetwork

BLOCK = 512  # questions that are answered at once
ITEMS_AT_ONCE = 65_536
QUESTIONS = 10_000  # at most so many validation clicks are ranked after a pass, evenly spread


@dataclass(frozen=True)
class SASRecTraining:
    """Options of the training.

    Attributes:
        learning_rate: Learning rate of AdamW.
        weight_decay: Decoupled weight decay.
        batch_size: Clicks per step that are targets of the loss, rounded to whole windows.
        stride: Targets per window. Each reads more than L - stride clicks, or all clicks before it. With 1 each reads as
            many clicks as when the user is scored, at up to L times the cost of the largest value, L.
        epochs: Largest number of passes.
        patience: Passes without a better validation metric before training stops.
        clip: Largest norm of the gradient.

    Raises:
        ValueError: A value is outside its range; the message states the range.
    """

    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    batch_size: int = 512
    stride: int = 10
    epochs: int = 200
    patience: int = 20
    clip: float = 5.0

    def __post_init__(self) -> None:
        """Check the values."""
        check_ranges(self, learning_rate=POSITIVE, weight_decay=NOT_NEGATIVE, clip=POSITIVE)
        check_ranges(self, batch_size=COUNT, stride=COUNT, epochs=COUNT, patience=COUNT)


@dataclass(frozen=True)
class ClickWindows:
    """A minibatch: windows of clicks, with the distinct items that they and the negatives name.

    Attributes:
        content: Vectors of the m distinct items, by modality.
        rows: (m,) their rows.
        click: (b, l) places in `rows` of the clicks, the last of each window excepted.
        mask: (b, l) whether there is one.
        counts: (b, q) whether the click after each of the last q places is one of the p targets of the loss.
        target: (p,) places in `rows` of the targets.
        negative: (p, k) places in `rows` of drawn items; None for the loss "softmax", where `rows` are all candidates.
    """

    content: dict[str, Tensor]
    rows: Tensor
    click: Tensor
    mask: Tensor
    counts: Tensor
    target: Tensor
    negative: Tensor | None


class SASRecFit:
    """One fit of SASRec.

    Attributes:
        network: The network; after `run` in evaluation mode, with the weights of the best pass.
        candidates: (m,) rows of the items with a training click. Negatives and validation candidates are among them, so no
            other item's content is read.
    """

    def __init__(
        self,
        network: SASRecNetwork,
        histories: UserHistories,
        features: ItemFeatures,
        split: HistorySplit,
        *,
        options: SASRecTraining,
        seed: int,
        device: torch.device | str,
    ) -> None:
        """Prepare the clicks and the scales.

        Args:
            network: The network with initial weights.
            histories: All exposures.
            features: Content of their items.
            split: The division of the exposures.
            options: Options of the training.
            seed: Seed of the order of the windows, of their cuts and of the negatives.
            device: Device to train on.

        Raises:
            ValueError: No user has two training clicks.
        """
        self.network, self.features, self.options, self.device = network.to(device), features, options, device
        self._histories, self._split = histories, split
        self._clicks = ClickSequences.of(histories)
        self._random = np.random.default_rng(seed)
        places = self._clicks.first_exposure
        end = self._clicks.clicks_before[places + split.train]
        trained = np.zeros(
            len(self._clicks.item) + 1, np.int64
        )  # +1 where a user's training clicks begin, -1 at their end
        np.add.at(trained, self._clicks.start[:-1], 1)
        np.add.at(trained, end, -1)
        if (end - self._clicks.start[:-1]).max(initial=0) < 2:
            raise ValueError("no user has two training clicks")
        self.candidates = np.unique(self._clicks.item[trained[:-1].cumsum() > 0]).astype(np.int64)
        network.items.fit_scales(features, self.candidates)
        self._whole = self._read(self.candidates) if network.config.loss == "softmax" else None

    def run(self, progress: Callable[[RecommenderEpoch], None] | None) -> RecommenderReport:
        """Train, and return the record.

        Raises:
            FloatingPointError: The loss is NaN or infinite.
        """
        network, options = self.network, self.options
        report = RecommenderReport("NDCG@10", sum(weights.numel() for weights in network.parameters()))
        optimiser = torch.optim.AdamW(network.parameters(), options.learning_rate, weight_decay=options.weight_decay)
        dev = self._split.dev[np.asarray(self._histories.clicked)[self._split.dev]]
        dev = dev[np.isin(self._histories.item[dev], self.candidates)]
        dev = dev[np.linspace(0, len(dev) - 1, min(len(dev), QUESTIONS)).astype(np.int64)] if len(dev) else dev
        began = time.perf_counter()

        def step(batch: ClickWindows) -> Tensor:
            loss = self.loss(batch)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), options.clip)
            optimiser.step()
            return loss.detach()

        run_passes(
            network,
            report,
            lambda: [step(batch) for batch in self.batches()],
            lambda: self._validate(dev) if len(dev) else None,
            epochs=options.epochs,
            patience=options.patience,
            progress=progress,
        )
        report.seconds = time.perf_counter() - began
        return report

    def loss(self, batch: ClickWindows) -> Tensor:
        """Return the mean loss of the next clicks of a minibatch."""
        vectors = self.network.items(batch.content, batch.rows)  # (m, d)
        places = batch.counts.shape[1]
        user = self.network(vectors[batch.click], batch.mask, places)[batch.counts]  # (p, d)
        if batch.negative is None:
            return functional.cross_entropy(user @ vectors.T, batch.target)
        clicked = (user * vectors[batch.target]).sum(-1)
        drawn = (user[:, None] * vectors[batch.negative]).sum(-1)  # (p, k)
        return functional.softplus(-clicked).mean() + functional.softplus(drawn).mean()

    def batches(self) -> Iterator[ClickWindows]:
        """Yield the minibatches of a pass: every training click but a user's first is a target once."""
        length = self.network.config.length
        stride = min(self.options.stride, length)
        offsets = self._random.integers(0, stride, len(self._histories))
        begin, target, end = self._clicks.windows(self._split.train, length, stride=stride, offsets=offsets)
        # In random order: a step of windows of similar length would learn from one kind of user.
        order = self._random.permutation(len(begin))
        steps = np.cumsum((end - target)[order]) // self.options.batch_size
        for rows in np.split(order, np.flatnonzero(np.diff(steps)) + 1):
            yield self._batch(*self._clicks.gather(begin[rows], end[rows]), (end - target)[rows])

    def _batch(self, items: np.ndarray, mask: np.ndarray, targets: np.ndarray) -> ClickWindows:
        """Return a minibatch of windows (b, l + 1), of which the last `targets` (b,) clicks each are targets."""
        click, mask = items[:, :-1], mask[:, :-1]
        counts = np.arange(-targets.max(), 0) >= -targets[:, None]
        target, negative = items[:, -counts.shape[1] :][counts], None
        if self._whole is not None:
            rows, content = self.candidates, self._whole
        else:
            shape = (len(target), self.network.config.negatives)
            negative = self.candidates[self._random.integers(0, len(self.candidates), shape)]
            rows = np.unique(np.concatenate([items.ravel(), negative.ravel()]))
            negative, content = np.searchsorted(rows, negative), self._read(rows)
        # A padded place names item 0, which need not be a candidate.
        click = np.minimum(np.searchsorted(rows, click), len(rows) - 1)
        arrays = (rows, click, mask, counts, np.searchsorted(rows, target))
        moved = (torch.from_numpy(np.asarray(values)).to(self.device) for values in arrays)
        return ClickWindows(
            content, *moved, negative=None if negative is None else torch.from_numpy(negative).to(self.device)
        )

    def _read(self, rows: np.ndarray) -> dict[str, Tensor]:
        content = self.network.items.read(self.features, rows)
        return {name: values.to(self.device) for name, values in content.items()}

    @torch.no_grad()
    def _validate(self, dev: np.ndarray) -> float:
        """Return NDCG@10 of the validation clicks among all candidates."""
        queries = Queries.before(self._histories, dev)
        items = item_vectors(self.network, self.features, self.candidates, device=self.device)
        target = np.searchsorted(self.candidates, self._histories.item[dev])
        found = [
            ranks((user @ items.T).cpu().numpy(), target[rows])
            for rows, user in user_vectors(self.network, self._clicks, self.features, queries, device=self.device)
        ]
        return click_metrics(np.concatenate(found), queries.user, ks=(10,)).values["NDCG@10"]


@torch.no_grad()
def user_vectors(
    network: SASRecNetwork,
    clicks: ClickSequences,
    features: ItemFeatures,
    queries: Queries,
    *,
    device: torch.device | str = "cpu",
) -> Iterator[tuple[slice, Tensor]]:
    """Yield the vectors (b, d) of users at the last of the clicks that they have seen, in blocks.

    Args:
        network: The network, in evaluation mode.
        clicks: The clicks that `queries` refers to.
        features: Content of the items.
        queries: q questions. Without a seen click the vector is 0, so that every item has the score 0.
        device: Device to compute on.
    """
    for start in range(0, len(queries), BLOCK):
        block = slice(start, start + BLOCK)
        items, mask = clicks.last(queries.user[block], queries.seen[block], network.config.length)
        rows, place = np.unique(items, return_inverse=True)
        vectors = item_vectors(network, features, rows.astype(np.int64), device=device)
        valid = torch.from_numpy(mask).to(device)
        states = network(vectors[torch.from_numpy(place.reshape(items.shape)).to(device)], valid, last=1)
        yield block, states[:, 0] * valid[:, -1:]


@torch.no_grad()
def item_vectors(
    network: SASRecNetwork, features: ItemFeatures, rows: np.ndarray, *, device: torch.device | str = "cpu"
) -> Tensor:
    """Return the vectors (m, d) of the items at `rows` (m,), read in blocks."""
    parts = []
    for start in range(0, len(rows), ITEMS_AT_ONCE):
        part = rows[start : start + ITEMS_AT_ONCE]
        content = {name: values.to(device) for name, values in network.items.read(features, part).items()}
        parts.append(network.items(content, torch.from_numpy(part).to(device)))
    return torch.cat(parts) if parts else torch.zeros(0, network.config.width, device=device)
