"""Base classes of the networks over pooled content, and of their predictors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar, Self

import numpy as np
from torch import Tensor, nn

from models.predictors.network import PredictorNetwork
from models.predictors.neural_predictor import NeuralPredictor
from models.predictors.own_options import network_options
from models.predictors.pooled_content import ContentConfig, Pooled, PooledContent
from models.predictors.samples import Bank, Minibatch, Samples
from models.predictors.standardise import Standardiser


class PooledNetwork(PredictorNetwork):
    """Network over one vector per modality; a subclass says how they become a forecast.

    Attributes:
        config_class: Dataclass of its hyper-parameters.
        content: The vectors.
    """

    config_class: ClassVar[type[ContentConfig]]
    reads_neighbours = False

    def __init__(
        self, config: ContentConfig, widths: Mapping[str, int], columns: Sequence[str] = (), *, targets: int = 1
    ) -> None:
        """Build what all of them have.

        Args:
            config: Hyper-parameters.
            widths: Modality -> width of its rows, for the modalities to read.
            columns: Names of the table's columns to read.
            targets: T, the number of targets.
        """
        super().__init__()
        self.config, self.targets = config, targets
        self.content = PooledContent(widths, columns)
        self.standardise_target = Standardiser(targets)

    @property
    def reads_tables(self) -> bool:
        """Whether minibatches need tables: if columns are read."""
        return bool(self.content.social.columns)

    def fit_scales(self, samples: Samples, videos: np.ndarray) -> None:
        """Fit the scales of the vectors and of the targets."""
        self.content.fit(samples, videos)
        self.standardise_target.fit(samples.target[videos])

    def pool(self, batch: Minibatch) -> dict[str, Pooled]:
        """Return the vectors of a minibatch's windows by modality."""
        return self.content(batch.target, None if batch.tables is None else batch.tables[0])

    @abstractmethod
    def standardised_forecast(self, batch: Minibatch) -> Tensor:
        """Return predictions (b, T) of the standardised targets."""

    def forecast(self, batch: Minibatch) -> Tensor:
        """Return predictions (b, T) for a minibatch, on the scale of the targets."""
        return self.standardise_target.inverse(self.standardised_forecast(batch))

    def description(self) -> dict[str, Any]:
        """Return what `from_description` needs to build the same network."""
        return {
            "config": asdict(self.config),
            "widths": self.content.row_widths,
            "columns": list(self.content.social.columns),
            "targets": self.targets,
        }

    @classmethod
    def from_description(cls, description: Mapping[str, Any], *, temporal_encoder: nn.Module | None) -> Self:
        """Build the network that `description` returned, with initial weights; the process is not used."""
        return cls(
            cls.config_class(**description["config"]),
            description["widths"],
            description["columns"],
            targets=description["targets"],
        )


class PooledPredictor(NeuralPredictor):
    """Predictor around a `PooledNetwork`."""

    network_class: ClassVar[type[PooledNetwork]]

    @classmethod
    def reads_table(cls, settings: Mapping[str, Any]) -> bool:
        """Return whether columns of the table are read."""
        further = cls.further_values(settings)
        return network_options(cls.config_class, settings, paper=cls.paper, further=further)[0].reads_table

    @property
    def sees_feedback(self) -> bool:
        """Whether counted feedback is read."""
        return self.config.use_counts

    def obstacle(self, train: Samples, bank: Bank) -> str | None:
        """Return that the training videos have nothing of what is read, if so."""
        config = self.config
        if config.columns(train.table) or any(
            getattr(train.features, name).present.any() for name in config.modalities
        ):
            return None
        tables = {"metadata": config.use_metadata, "counts": config.use_counts}
        read = [*config.modalities, *(name for name, used in tables.items() if used)]
        return f"no training video has any of what it reads: {', '.join(read)}"

    def build(self, samples: Samples) -> PooledNetwork:
        """Return a network with initial weights for samples of this form."""
        return self.network_class(self.config, *self.shape_of(samples), targets=samples.target.shape[1])

    def shape_of(self, samples: Samples) -> tuple[dict[str, int], tuple[str, ...]]:
        """Return the widths of the modalities to read, and the names of the columns to read."""
        widths = {name: getattr(samples.features.widths, name) for name in self.config.modalities}
        return widths, self.config.columns(samples.table)
