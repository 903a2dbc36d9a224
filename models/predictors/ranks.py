"""The processes that train one network: a single one, or several with a part of every minibatch each (PyTorch's DDP)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.distributed.nn import functional as collectives
from torch.nn.parallel import DistributedDataParallel

from models.predictors.batch_part import WHOLE, BatchPart
from models.predictors.network import PredictorNetwork
from models.predictors.prediction import WINDOWS, predict
from models.predictors.samples import Bank, Samples, batches


class SingleProcess:
    """A training in one process.

    Attributes:
        is_first: Whether this process writes checkpoints.
    """

    is_first: bool = True

    def parallel(self, losses: nn.Module) -> nn.Module:
        """Return the module that computes the losses; with several processes, one that adds up their gradients."""
        return losses

    def divide(self, rows: np.ndarray) -> tuple[np.ndarray, BatchPart]:
        """Return this process's windows of a minibatch.

        Args:
            rows: (b,) numbers of the minibatch's windows.
        """
        return rows, WHOLE

    def seed_step(self, seed: int, epoch: int, step: int) -> None:
        """Set the random state of a step, if it has to differ between the processes."""

    def backward(self, losses: tuple[Tensor, ...], part: BatchPart) -> Tensor:
        """Compute the gradients of the first loss, and return all losses (k,) of the whole minibatch.

        Args:
            losses: k losses of this process's part, scalars.
            part: The part.
        """
        losses[0].backward()
        return torch.stack([loss.detach() for loss in losses])

    def predict(
        self, network: PredictorNetwork, samples: Samples, bank: Bank, *, device: torch.device | str
    ) -> np.ndarray:
        """Return the predictions of all samples; see `models.predictors.prediction.predict`."""
        return predict(network, samples, bank, device=device)


class RankPart(BatchPart):
    """The part of a minibatch that one of several processes computes.

    Attributes:
        weight: 1, or 0 in a process that computes a window of another part because the minibatch has too few.
    """

    def __init__(self, *, windows: int, rank: int, ranks: int, device: torch.device | str) -> None:
        """Describe the part.

        Args:
            windows: Number of windows of the whole minibatch.
            rank: Number of this process.
            ranks: Number of processes.
            device: Device of the network.
        """
        self.parts, self.weight = min(windows, ranks), int(rank < windows)
        self._device = device

    def total(self, count: int | Tensor) -> Tensor:
        """Return the sum of a number of terms over the parts."""
        own = count if isinstance(count, Tensor) else torch.full((), count, device=self._device)
        total = own * self.weight
        distributed.all_reduce(total)
        return total

    def gather(self, vectors: Tensor) -> Tensor:
        """Return the vectors of all parts, in the order of the processes."""
        own = torch.full((), len(vectors) * self.weight, device=self._device)
        sizes = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
        distributed.all_gather(sizes, own)
        counts = torch.stack(sizes).tolist()
        # The collective needs equal shapes.
        padded = nn.functional.pad(vectors, (0, 0, 0, max(*counts, len(vectors)) - len(vectors)))
        return torch.cat([part[:count] for part, count in zip(collectives.all_gather(padded), counts, strict=True)])


class Ranks(SingleProcess):
    """Several processes that train the same network, after `torch.distributed.init_process_group`.

    Each minibatch is divided among them, and their gradients are added up. So the weights are those of a training in one
    process except for rounding. Random numbers of the forward pass (dropout) differ from those of one process: they depend on
    the seed, the step and the number of processes. All processes take the same decisions, because they see the same numbers.

    Attributes:
        number: Number of this process, from 0.
        count: Number of processes.
        is_first: Whether this process writes checkpoints.
        device: The device on which this process trains.
    """

    def __init__(self, device: torch.device | str) -> None:
        """Describe the group of processes that this one has joined.

        Args:
            device: The device on which this process trains.
        """
        self.number, self.count = distributed.get_rank(), distributed.get_world_size()
        self.is_first = self.number == 0
        self.device = device

    def parallel(self, losses: nn.Module) -> nn.Module:
        """Return the module that adds up the gradients of all processes."""
        # A minibatch need not reach every parameter: it may lack a modality.
        return DistributedDataParallel(losses, find_unused_parameters=True)

    def divide(self, rows: np.ndarray) -> tuple[np.ndarray, RankPart]:
        """Return this process's windows of a minibatch; at least one, which has no weight if the minibatch has too few."""
        part = RankPart(windows=len(rows), rank=self.number, ranks=self.count, device=self.device)
        return (rows[self.number :: self.count] if part.weight else rows[:1]), part

    def seed_step(self, seed: int, epoch: int, step: int) -> None:
        """Set the random state, so that a training that continues needs the states of no other process."""
        torch.manual_seed(int(np.random.SeedSequence([seed, epoch, step, self.number]).generate_state(1)[0]))

    def backward(self, losses: tuple[Tensor, ...], part: RankPart) -> Tensor:
        """Compute the gradients of the first loss, added up over the processes, and return the losses of the minibatch."""
        (losses[0] * (part.weight * self.count)).backward()  # DDP averages over the processes
        total = torch.stack([loss.detach() * part.weight for loss in losses])
        distributed.all_reduce(total)
        return total

    def predict(
        self, network: PredictorNetwork, samples: Samples, bank: Bank, *, device: torch.device | str
    ) -> np.ndarray:
        """Return the predictions of all samples. Each process makes a share of them, in the batches of one process."""
        own = list(batches(np.arange(len(samples)), WINDOWS))[self.number :: self.count]
        predicted = np.zeros((len(samples), len(network.standardise_target.mean)))
        if own:
            rows = np.concatenate(own)
            predicted[rows] = predict(network, samples.take(rows), bank, device=device)
        total = torch.from_numpy(predicted).to(self.device)
        distributed.all_reduce(total)
        return total.cpu().numpy()
