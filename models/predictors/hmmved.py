"""HMMVED: a variational product of the modalities, whose prior is the author (Xie et al., 2023)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from models.predictors.author_prior import AuthorPrior, authors_of, statistics_of
from models.predictors.pooled_content import ContentConfig
from models.predictors.pooled_network import PooledNetwork, PooledPredictor
from models.predictors.product_of_experts import ProductOfExperts, divergence, draw
from models.predictors.samples import Minibatch, Samples
from models.predictors.training_options import TrainingOptions


@dataclass(frozen=True)
class HMMVEDConfig(ContentConfig):
    """Hyper-parameters of HMMVED, beside those of `ContentConfig`.

    Attributes:
        hidden: Units of an expert's hidden layer.
        latent: Dimensions of the latent space.
        decoder: Units of the decoder's hidden layer.
        dropout: Dropout rate of the experts' hidden layer.
        divergence: lambda, the weight of the divergence between a video's Gaussian and its prior.
        use_authors: Whether the prior knows the author; else it is N(0, I).
    """

    hidden: int = 64
    latent: int = 8
    decoder: int = 16
    dropout: float = 0.0
    divergence: float = 0.02
    use_authors: bool = True

    @property
    def reads_table(self) -> bool:
        """Whether columns of the table are read, by the experts or by the prior."""
        return super().reads_table or self.use_authors


class HMMVED(PooledNetwork):
    """Experts q(z | x_e), their product q(z | x), and a decoder of z.

    Training decodes a draw z = mu + std eps, and a forecast decodes mu. The loss is the squared error and
    lambda KL(q(z | x) || p(z | author)). Only the loss knows the author, so a forecast needs none.
    """

    config_class = HMMVEDConfig

    def __init__(
        self,
        config: HMMVEDConfig,
        widths: Mapping[str, int],
        columns: Sequence[str] = (),
        *,
        targets: int = 1,
        authors: Sequence[str] = (),
        statistics: Sequence[str] = (),
    ) -> None:
        """Build the network.

        Args:
            config: Hyper-parameters.
            widths: Modality -> width of its rows, for the modalities to read.
            columns: Names of the table's columns that the experts read.
            targets: T, the number of targets.
            authors: Authors of the training windows; none for the prior N(0, I).
            statistics: Names of the table's columns with the authors' statistics.
        """
        super().__init__(config, widths, columns, targets=targets)
        self.experts = ProductOfExperts(
            self.content.widths, hidden=config.hidden, latent=config.latent, dropout=config.dropout
        )
        self.decode = nn.Sequential(
            nn.Linear(config.latent, config.decoder), nn.ReLU(), nn.Linear(config.decoder, targets)
        )
        self.prior = AuthorPrior(authors, statistics, latent=config.latent, targets=targets) if authors else None

    @property
    def reads_tables(self) -> bool:
        """Whether minibatches need tables: if columns are read, or the prior knows authors."""
        return super().reads_tables or self.prior is not None

    def fit_scales(self, samples: Samples, videos: np.ndarray) -> None:
        """Fit the scales, and then the authors' prior, which stays as it is from here on."""
        super().fit_scales(samples, videos)
        if self.prior is not None:
            target = self.standardise_target(torch.from_numpy(samples.target[videos])).numpy()
            self.prior.fit(samples.table.take(videos), target, weight=self.config.divergence)

    def standardised_forecast(self, batch: Minibatch) -> Tensor:
        """Return predictions (b, T) of the standardised targets."""
        mean, log_std = self.experts(self.pool(batch))
        return self.decode(draw(mean, log_std) if self.training else mean)

    def further_weight(self, options: TrainingOptions) -> float:
        """Return lambda."""
        return self.config.divergence

    def further_loss(self, batch: Minibatch) -> Tensor:
        """Return the divergence per window, in nats."""
        mean, log_std = self.experts(self.pool(batch))
        prior = (torch.zeros_like(mean),) * 2 if self.prior is None else self.prior(batch.tables[0])
        return divergence(mean, log_std, *prior).sum() / batch.part.total(len(mean))

    def description(self) -> dict[str, Any]:
        """Return what `from_description` needs to build the same network."""
        authors = {"authors": [], "statistics": []}
        if self.prior is not None:
            authors = {"authors": self.prior.authors, "statistics": list(self.prior.statistics.columns)}
        return {**super().description(), **authors}

    @classmethod
    def from_description(cls, description: Mapping[str, Any], *, temporal_encoder: nn.Module | None) -> Self:
        """Build the network that `description` returned, with initial weights; the process is not used."""
        return cls(
            cls.config_class(**description["config"]),
            description["widths"],
            description["columns"],
            targets=description["targets"],
            authors=description["authors"],
            statistics=description["statistics"],
        )


class HMMVEDPredictor(PooledPredictor):
    """HMMVED, fitted by the training loop."""

    title = "HMMVED"
    code = 1
    network_class = HMMVED
    config_class = HMMVEDConfig
    paper = MappingProxyType(
        {
            "hidden": 32,
            "latent": 8,
            "decoder": 4,
            "dropout": 0.5,
            "divergence": 0.3,
            "learning_rate": 5e-4,
            "batch_size": 512,
            "weight_decay": 0.0,
            "averaging": 0.0,
            "epochs": 100,
        }
    )

    def build(self, samples: Samples) -> HMMVED:
        """Return a network with initial weights for samples of this form."""
        authors = authors_of(samples.table) if self.config.use_authors else []
        return HMMVED(
            self.config,
            *self.shape_of(samples),
            targets=samples.target.shape[1],
            authors=authors,
            statistics=statistics_of(samples.table.numeric_names) if authors else (),
        )
