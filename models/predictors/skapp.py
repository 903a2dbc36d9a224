"""Curated retrieval: each neighbour is weighed by how much it is expected to help, and may be rejected.

Taken from SKAPP (Xu et al., "Improving multimodal social media popularity prediction via selective retrieval knowledge
augmentation", AAAI 2025): retrieved videos differ in use, and the use of one is its relative contribution to the prediction,
the error without it minus the error with it. SKAPP computes that contribution with networks that it trains beforehand, and
filters and weighs the neighbours by it.

Ours: the forecast with a neighbour is the neighbour's label, corrected for the difference of the two videos; its
contribution is predicted by a network that is trained together with the forecast; and a gate may reject every neighbour.
There is no graph network and no retrieval by metadata.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from models.predictors.attention import masked_softmax
from models.predictors.batch_part import BatchPart
from models.predictors.pooled_content import ContentConfig, Pooled
from models.predictors.pooled_network import PooledNetwork, PooledPredictor
from models.predictors.samples import Minibatch, Samples
from models.predictors.training_options import TrainingOptions


@dataclass(frozen=True)
class SKAPPConfig(ContentConfig):
    """Hyper-parameters of curated retrieval, beside those of `ContentConfig`.

    Attributes:
        use_counts: Whether to read the feedback that was counted by the window's age.
        use_temporal: Whether to read the mean of the temporal rows, which the process makes of the feedback.
        use_retrieval: Whether to read neighbours.
        use_utility: Whether neighbours differ in weight; else all have the same.
        use_gate: Whether neighbours may be rejected; else the forecast is the weighted mean of their labels.
        neighbours: S, the number of retrieved videos per video; at most as many as were retrieved.
        width: d, the width of a video's vector.
        hidden: Units of the hidden layers.
        dropout: Dropout rate of the vectors and hidden layers.
        supervision: Weight of the errors of the forecast without neighbours and of the predicted contributions.
    """

    use_counts: bool = True
    use_temporal: bool = True
    use_retrieval: bool = True
    use_utility: bool = True
    use_gate: bool = True
    neighbours: int = 10
    width: int = 64
    hidden: int = 64
    dropout: float = 0.0
    supervision: float = 0.5

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities that are read."""
        return (*super().modalities, *(("temporal",) if self.use_temporal else ()))


class Curated(NamedTuple):
    """What the network makes of b windows with S neighbours each.

    Attributes:
        alone: (b, T) standardised forecasts without neighbours.
        forecast: (b, T) standardised forecasts with them.
        utility: (b, S) predicted contribution of each neighbour, in standard deviations of the target.
        candidate: (b, S, T) standardised forecasts c_j with one neighbour each, NaN where the neighbour lacks the target.
        weight: (b, S) weight of each candidate; a window's weights sum to at most 1.
    """

    alone: Tensor
    forecast: Tensor
    utility: Tensor
    candidate: Tensor
    weight: Tensor


class SKAPP(PooledNetwork):
    """Forecast y_0 of a video alone, moved towards the labels y_j of its neighbours as far as these help.

        h = ReLU(b + sum_e (W_e x_e, or a_e where modality e is missing))          query and neighbours alike
        y_0 = MLP(h)
        c_j = y_j + sigmoid(t) (y_0 - y_0j)                                        y_0j: the forecast of j alone
        u_j, g_j = MLP([h, h_j, h * h_j, s_j, c_j - y_0])                          s_j: similarity
        w_j = sigmoid(g_j) softmax_j(exp(v) u_j)
        y = y_0 + sum_j w_j (c_j - y_0)                                            targets that neighbour j has

    c_j is the forecast with neighbour j: its label, corrected for what distinguishes the two videos by themselves. u_j is
    fitted to the contribution |y_0 - y| - |c_j - y|, the mean over the targets that both have. With every gate closed the
    forecast is y_0.
    """

    config_class = SKAPPConfig

    def __init__(
        self,
        config: SKAPPConfig,
        widths: Mapping[str, int],
        columns: Sequence[str] = (),
        *,
        targets: int = 1,
        temporal_encoder: nn.Module | None = None,
    ) -> None:
        """Build the network.

        Args:
            config: Hyper-parameters.
            widths: Modality -> width of its rows, for the modalities to read.
            columns: Names of the table's columns to read.
            targets: T, the number of targets.
            temporal_encoder: A fitted process that makes the queries' temporal rows and is not trained further. None
                uses the stored rows.
        """
        super().__init__(config, widths, columns, targets=targets)
        d = config.width
        self.temporal_encoder = None if temporal_encoder is None else temporal_encoder.requires_grad_(False)
        self.embed = nn.ModuleDict(
            {name: nn.Linear(width, d, bias=False) for name, width in self.content.widths.items()}
        )
        self.absent = nn.ParameterDict({name: nn.Parameter(torch.zeros(d)) for name in self.content.widths})
        self.bias = nn.Parameter(torch.zeros(d))
        self.dropout = nn.Dropout(config.dropout)
        self.alone = self._perceptron(d, targets)
        if config.use_retrieval:
            self.judge = self._perceptron(3 * d + 1 + targets, 2)
            self.sharpness = nn.Parameter(torch.tensor(1.0))  # v
            self.transfer = nn.Parameter(torch.tensor(0.0))  # t

    def _perceptron(self, inputs: int, outputs: int) -> nn.Sequential:
        hidden = self.config.hidden
        return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), self.dropout, nn.Linear(hidden, outputs))

    @property
    def reads_feedback(self) -> bool:
        """Whether minibatches need feedback: if a process is inside."""
        return self.temporal_encoder is not None

    @property
    def reads_neighbours(self) -> bool:
        """Whether minibatches need the neighbours: with retrieval."""
        return self.config.use_retrieval

    def encode(self, pooled: Mapping[str, Pooled]) -> Tensor:
        """Return h of v videos, (v, d)."""
        total = self.bias
        for name, layer in self.embed.items():
            vectors, present = pooled[name]
            total = total + torch.where(present.unsqueeze(-1), layer(vectors), self.absent[name])
        return self.dropout(total.relu())

    def curate(self, batch: Minibatch) -> Curated:
        """Return forecasts with and without the neighbours of a minibatch, and how the neighbours are judged."""
        own = self.encode(self.pool(batch))
        alone = self.alone(own)
        around = batch.neighbourhood
        if not self.config.use_retrieval or not len(batch.neighbours):
            nothing = torch.zeros_like(around.score)
            return Curated(alone, alone, nothing, torch.full_like(around.label, torch.nan), nothing)
        tables = None if batch.tables is None else batch.tables[1]
        encoded = self.encode(self.content(batch.neighbours, tables))  # (u, d)
        theirs, their_alone = encoded[around.index], self.alone(encoded).detach()[around.index]  # (b, S, d), (b, S, T)
        label = self.standardise_target(around.label).masked_fill(~around.mask.unsqueeze(-1), torch.nan)
        candidate = label + self.transfer.sigmoid() * (alone.unsqueeze(1) - their_alone)
        moved = torch.where(label.isnan(), torch.zeros_like(label), candidate - alone.unsqueeze(1))  # c_j - y_0
        query = own.unsqueeze(1).expand_as(theirs)
        pair = torch.cat([query, theirs, query * theirs, around.score.unsqueeze(-1), moved.detach()], -1)
        utility, gate = self.judge(pair).unbind(-1)
        share = utility * self.sharpness.exp() if self.config.use_utility else torch.zeros_like(utility)
        share = masked_softmax(share, around.mask, dim=-1)
        weight = gate.sigmoid() * share if self.config.use_gate else share
        return Curated(alone, alone + (weight.unsqueeze(-1) * moved).sum(1), utility, candidate, weight)

    def pool(self, batch: Minibatch) -> dict[str, Pooled]:
        """Return the vectors of a minibatch's windows; with a process inside, from its temporal rows."""
        if batch.completed is None:
            return super().pool(batch)
        rows, mask = self.temporal_encoder(batch.completed)
        target = batch.target.with_temporal(rows * mask.unsqueeze(-1), mask)
        return self.content(target, None if batch.tables is None else batch.tables[0])

    def standardised_forecast(self, batch: Minibatch) -> Tensor:
        """Return predictions (b, T) of the standardised targets."""
        return self.curate(batch).forecast

    def further_weight(self, options: TrainingOptions) -> float:
        """Return the weight of the supervision."""
        return self.config.supervision if self.config.use_retrieval else 0.0

    def further_loss(self, batch: Minibatch) -> Tensor:
        """Return the squared error of y_0, and the squared error of the predicted contributions."""
        curated = self.curate(batch)
        truth = self.standardise_target(batch.label)
        known = ~truth.isnan()
        error = torch.where(known, (curated.alone - truth).nan_to_num(0.0), torch.zeros_like(truth))
        alone = error.square().sum() / batch.part.total(known.sum()).clamp(min=1)
        return alone + self._judgement_error(curated, truth, batch.part)

    def _judgement_error(self, curated: Curated, truth: Tensor, part: BatchPart) -> Tensor:
        """Return the mean squared error of the contributions of the neighbours that share a target with their query."""
        without = (curated.alone.detach() - truth).abs().unsqueeze(1)
        gain = without - (curated.candidate.detach() - truth.unsqueeze(1)).abs()  # (b, S, T)
        shared = ~gain.isnan()
        count = shared.sum(-1)
        gain = torch.where(shared, gain, torch.zeros_like(gain)).sum(-1) / count.clamp(min=1)  # (b, S)
        errors = (curated.utility - gain).square() * (count > 0)
        return errors.sum() / part.total((count > 0).sum()).clamp(min=1)

    def description(self) -> dict[str, Any]:
        """Return what `from_description` needs to build the same network."""
        return {**super().description(), "process": self.temporal_encoder is not None}

    @classmethod
    def from_description(cls, description: Mapping[str, Any], *, temporal_encoder: nn.Module | None) -> Self:
        """Build the network that `description` returned, with initial weights.

        Args:
            description: The description.
            temporal_encoder: A process of the same shape, for a network with a process inside; others do not use it.

        Raises:
            ValueError: The process is missing.
        """
        if description["process"] and temporal_encoder is None:
            raise ValueError("the model needs a temporal_encoder")
        return cls(
            cls.config_class(**description["config"]),
            description["widths"],
            description["columns"],
            targets=description["targets"],
            temporal_encoder=temporal_encoder if description["process"] else None,
        )


class SKAPPPredictor(PooledPredictor):
    """Curated retrieval, fitted by the training loop."""

    title = "curated retrieval (SKAPP-style)"
    code = 1
    network_class = SKAPP
    config_class = SKAPPConfig

    def takes(self, temporal_encoder: nn.Module) -> bool:
        """Return whether temporal rows are read."""
        return self.config.use_temporal

    @property
    def sees_feedback(self) -> bool:
        """Whether counted feedback or temporal rows are read."""
        return self.config.use_counts or self.config.use_temporal

    def build(self, samples: Samples) -> SKAPP:
        """Return a network with initial weights, with a copy of the process inside if temporal rows are read."""
        encoder = copy.deepcopy(self.temporal_encoder)
        return SKAPP(self.config, *self.shape_of(samples), targets=samples.target.shape[1], temporal_encoder=encoder)
