"""MASSL: a variational autoencoder of the modalities that also forecasts (Zhang et al. 2022, as MMRA and MUFM cite it)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.predictors.batch_part import WHOLE, BatchPart
from models.predictors.pooled_content import ContentConfig, Pooled
from models.predictors.pooled_network import PooledNetwork, PooledPredictor
from models.predictors.product_of_experts import ProductOfExperts, divergence, draw
from models.predictors.samples import Minibatch
from models.predictors.training_options import TrainingOptions


@dataclass(frozen=True)
class MASSLConfig(ContentConfig):
    """Hyper-parameters of MASSL, beside those of `ContentConfig`.

    Attributes:
        hidden: Units of the hidden layer of an expert, and of the layer that forecasts.
        latent: Dimensions of the latent space.
        decoder: Units of the hidden layer of a modality's decoder.
        dropout: Dropout rate of the experts' hidden layer.
        reconstruction: Weight of the reconstruction errors.
        divergence: Weight of the divergence between a video's Gaussian and N(0, I).
    """

    hidden: int = 64
    latent: int = 64
    decoder: int = 128
    dropout: float = 0.0
    reconstruction: float = 0.1
    divergence: float = 0.05


class MASSL(PooledNetwork):
    """A product of experts q(z | x), from whose mean the targets are forecast and from whose draws the modalities are decoded.

    The loss is

        MSE(y) + reconstruction sum_e MSE(x_e) + divergence KL(q(z | x) || N(0, I))

    where MSE(x_e) is the mean over the channels of the standardised vectors and over the videos that have the modality.
    """

    config_class = MASSLConfig

    def __init__(
        self, config: MASSLConfig, widths: Mapping[str, int], columns: Sequence[str] = (), *, targets: int = 1
    ) -> None:
        """Build the network; see `PooledNetwork`."""
        super().__init__(config, widths, columns, targets=targets)
        widths = self.content.widths
        self.experts = ProductOfExperts(widths, hidden=config.hidden, latent=config.latent, dropout=config.dropout)
        self.decode = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.Linear(config.latent, config.decoder), nn.ReLU(), nn.Linear(config.decoder, width)
                )
                for name, width in widths.items()
            }
        )
        self.head = nn.Sequential(nn.Linear(config.latent, config.hidden), nn.ReLU(), nn.Linear(config.hidden, targets))

    def standardised_forecast(self, batch: Minibatch) -> Tensor:
        """Return predictions (b, T) of the standardised targets."""
        return self.head(self.experts(self.pool(batch))[0])

    def further_weight(self, options: TrainingOptions) -> float:
        """Return 1: `further_loss` holds its own weights."""
        return 1.0

    def further_loss(self, batch: Minibatch) -> Tensor:
        """Return the weighted reconstruction errors and divergence."""
        pooled = self.pool(batch)
        mean, log_std = self.experts(pooled)
        zero = torch.zeros_like(mean)
        error = self.reconstruction_error(pooled, draw(mean, log_std), batch.part)
        apart = divergence(mean, log_std, zero, zero).sum() / batch.part.total(len(mean))
        return self.config.reconstruction * error + self.config.divergence * apart

    def reconstruction_error(self, pooled: Mapping[str, Pooled], latent: Tensor, part: BatchPart = WHOLE) -> Tensor:
        """Return sum_e MSE(x_e), a scalar.

        Args:
            pooled: The vectors of v videos by modality.
            latent: (v, latent).
            part: Which part of a minibatch the videos are.
        """
        total = latent.new_zeros(())
        for name, decode in self.decode.items():
            vectors, present = pooled[name]
            errors = (decode(latent) - vectors).square().mean(-1) * present
            total = total + errors.sum() / part.total(present.sum()).clamp(min=1)
        return total


class MASSLPredictor(PooledPredictor):
    """MASSL, fitted by the training loop. The papers that compare with it print no hyper-parameters."""

    title = "MASSL"
    code = 1
    network_class = MASSL
    config_class = MASSLConfig
