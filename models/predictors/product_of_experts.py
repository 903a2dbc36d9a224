"""A product of Gaussian experts, one per modality, and the divergence between Gaussians."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from models.predictors.pooled_content import Pooled

LOG_STD = (-20.0, 2.0)  # range of an expert's log standard deviation


class ProductOfExperts(nn.Module):
    """Gaussian in the latent space per modality, multiplied (Xie et al. 2023; Wu and Goodman 2018).

    The expert of modality e is a perceptron that returns mu_e and log std_e. Their product is the Gaussian with

        1/std^2 = sum_e 1/std_e^2      mu = std^2 sum_e mu_e/std_e^2

    over the modalities that the video has. A video without any has N(0, I).
    """

    def __init__(self, widths: Mapping[str, int], *, hidden: int, latent: int, dropout: float) -> None:
        """Build the experts.

        Args:
            widths: Modality -> width of its vector.
            hidden: Units of an expert's hidden layer.
            latent: Dimensions of the latent space.
            dropout: Dropout rate after the hidden layer.
        """
        super().__init__()
        self.experts = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, 2 * latent)
                )
                for name, width in widths.items()
            }
        )

    def forward(self, pooled: Mapping[str, Pooled]) -> tuple[Tensor, Tensor]:
        """Return mean and log standard deviation of v videos, (v, latent) each."""
        weighted, precision = [], []
        for name, expert in self.experts.items():
            mean, log_std = gaussian(expert(pooled[name].vectors))
            inverse = (-2.0 * log_std).exp() * pooled[name].present.unsqueeze(-1)  # no precision: left out
            weighted.append(mean * inverse)
            precision.append(inverse)
        total = torch.stack(precision).sum(0)
        total = torch.where(total > 0, total, torch.ones_like(total))
        return torch.stack(weighted).sum(0) / total, -0.5 * total.log()


def gaussian(output: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the log standard deviation that a layer's output (v, 2 latent) holds, (v, latent) each."""
    mean, log_std = output.chunk(2, -1)
    return mean, log_std.clamp(*LOG_STD)


def draw(mean: Tensor, log_std: Tensor) -> Tensor:
    """Return mean + std eps with eps from N(0, I), from PyTorch's random numbers."""
    return mean + log_std.exp() * torch.randn_like(mean)


def divergence(mean: Tensor, log_std: Tensor, prior_mean: Tensor, prior_log_std: Tensor) -> Tensor:
    """Return KL(N(mean, std^2) || N(prior mean, prior std^2)) of v diagonal Gaussians.

    Args:
        mean: (v, latent).
        log_std: (v, latent).
        prior_mean: (v, latent).
        prior_log_std: (v, latent).

    Returns:
        (v,) in nats.

    Example:
        >>> zero, one = torch.zeros(1, 3), torch.ones(1, 3)
        >>> divergence(one, zero, zero, zero)  # half the squared distance of the means
        tensor([1.5000])
    """
    squares = (2.0 * log_std).exp() + (mean - prior_mean).square()
    return (prior_log_std - log_std + 0.5 * squares * (-2.0 * prior_log_std).exp() - 0.5).sum(-1)
