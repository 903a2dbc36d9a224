"""The training loop of all click models, with early stopping on the validation exposures."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from models.determinism import deterministic
from models.recommenders.click_batch import ClickBatch
from models.recommenders.click_data import ClickBlocks, ClickData
from models.recommenders.click_network import ClickNetwork
from models.recommenders.click_options import ClickTraining
from models.recommenders.history_split import HistorySplit
from models.recommenders.item_encoder import ItemEncoder
from models.recommenders.passes import run_passes
from models.recommenders.ranking_metrics import auc
from models.recommenders.recommender import RecommenderEpoch, RecommenderReport

DEV_BLOCK = 64  # validation exposures of one user that are scored at once


def train(
    build: Callable[[], ClickNetwork],
    data: ClickData,
    split: HistorySplit,
    *,
    options: ClickTraining,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: Callable[[RecommenderEpoch], None] | None = None,
) -> tuple[ClickNetwork, RecommenderReport]:
    """Fit a network to the training exposures, in blocks of one user each.

    Each block reads the user's exposures at strictly earlier times than its first exposure. Validation exposures have
    the user's training exposures as history; their AUC over all users decides when training stops and which weights
    are kept. On one machine's CPU the same seed and thread count give bit-identical weights.

    Args:
        build: Returns the network. It is called after the seed was set.
        data: Histories and features.
        split: The division of the exposures.
        options: Options of the training.
        seed: Seed of the weights and of the order of the blocks.
        device: Device to train on.
        progress: Function to call after each pass.

    Returns:
        The network in evaluation mode, and the record of the training.

    Raises:
        ValueError: There is no exposure to train on.
        FloatingPointError: The loss is NaN or infinite.
    """
    started = time.perf_counter()
    if not split.train.sum():
        raise ValueError("the split has no exposure to train on")
    random = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]), deterministic():  # the caller's random state does not change
        torch.manual_seed(seed)
        network = _started(build(), data, split, random, seed, device)
        blocks = data.training_blocks(split.train, options.block, options.negatives)
        dev = data.held_out_blocks(split.dev, split.train, DEV_BLOCK) if len(split.dev) else None
        optimisers = _optimisers(network, options)
        report = RecommenderReport(
            "AUC", sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
        )

        def one_pass() -> list[torch.Tensor]:
            order = random.permutation(len(blocks.exposures))
            parts = (order[first : first + options.batch_size] for first in range(0, len(order), options.batch_size))
            return [_step(network, data.batch(blocks, part, random).to(device), optimisers, options) for part in parts]

        def area() -> float | None:
            return None if dev is None else validate(network, data, dev, seed=seed, device=device)

        run_passes(network, report, one_pass, area, epochs=options.epochs, patience=options.patience, progress=progress)
    report.further = network.summary(batch.to(device) for batch in data.users(split.train))
    report.seconds = time.perf_counter() - started
    return network, report


def _started(
    network: ClickNetwork,
    data: ClickData,
    split: HistorySplit,
    random: np.random.Generator,
    seed: int,
    device: torch.device | str,
) -> ClickNetwork:
    """Return the network with the initial weights that depend on data."""
    encoders = [
        module for module in network.modules() if isinstance(module, ItemEncoder) and module.content is not None
    ]
    if encoders:
        content = data.training_content(split.train, random)
        for encoder in encoders:
            encoder.standardise.fit(content)
    network.to(device)
    if network.reads_training_histories:
        network.start((batch.to(device) for batch in data.users(split.train)), seed)
    return network


def _optimisers(network: ClickNetwork, options: ClickTraining) -> list[torch.optim.Optimizer]:
    """Return Adam for the layers and, if there are tables, lazy Adam for their rows."""
    tables, decayed = network.sparse_parameters(), network.decayed_parameters()
    other = {id(weight) for weight in (*tables, *decayed)}
    groups = [
        {"params": decayed, "weight_decay": 2 * options.weight_decay},  # the gradient of lambda |W|^2
        {"params": [weight for weight in network.parameters() if id(weight) not in other], "weight_decay": 0.0},
    ]
    optimisers: list[torch.optim.Optimizer] = [
        torch.optim.Adam([group for group in groups if group["params"]], lr=options.learning_rate)
    ]
    if tables:
        optimisers.append(torch.optim.SparseAdam(tables, lr=options.learning_rate))
    return optimisers


def _step(
    network: ClickNetwork, batch: ClickBatch, optimisers: list[torch.optim.Optimizer], options: ClickTraining
) -> torch.Tensor:
    """Take one step of the optimisers and return the loss."""
    loss = network.loss(batch)
    for optimiser in optimisers:
        optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(
        [weight for group in optimisers[0].param_groups for weight in group["params"]], options.clip
    )
    for optimiser in optimisers:
        optimiser.step()
    return loss.detach()


@torch.no_grad()
def validate(
    network: ClickNetwork, data: ClickData, blocks: ClickBlocks, *, seed: int, device: torch.device | str
) -> float:
    """Return the AUC of the exposures of blocks over all users; 0.5 where they are all clicks or all skips."""
    network.eval()
    random, scores, labels = np.random.default_rng(seed), [], []
    for chosen in np.split(np.arange(len(blocks.exposures)), range(DEV_BLOCK, len(blocks.exposures), DEV_BLOCK)):
        batch = data.batch(blocks, chosen, random).to(device)
        kept = batch.mask.cpu()
        scores.append(network(batch).cpu()[kept].numpy())
        labels.append(batch.label.cpu()[kept].numpy() > 0)
    area = auc(np.concatenate(labels), np.concatenate(scores))
    return 0.5 if np.isnan(area) else area
