"""Base class of networks that read a video's content sequences and are described by a config and widths alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar, Self

import numpy as np
from torch import nn

from models.predictors.content_sequences import ContentSequences
from models.predictors.features import Widths
from models.predictors.network import PredictorNetwork
from models.predictors.samples import Samples
from models.predictors.standardise import Standardiser


class ContentNetwork(PredictorNetwork):
    """Network with the inputs of `ContentSequences`; a subclass adds its layers and `forecast`.

    Attributes:
        config_class: Dataclass of its hyper-parameters.
        sequences: The layer that makes the content sequences.
    """

    config_class: ClassVar[type]

    def __init__(self, config: Any, widths: Widths, *, targets: int = 1) -> None:
        """Build the inputs.

        Args:
            config: Hyper-parameters, a `config_class`. Its switches `use_visual`, `use_audio` and `use_text`, where it has
                them, say which modalities are read.
            widths: Width of the features, per modality.
            targets: T, the number of targets.
        """
        super().__init__()
        self.config, self.feature_widths, self.targets = config, widths, targets
        switches = {name: getattr(config, name, True) for name in ("use_visual", "use_audio", "use_text")}
        self.sequences = ContentSequences(widths, **switches)
        self.standardise_target = Standardiser(targets)

    def fit_scales(self, samples: Samples, videos: np.ndarray) -> None:
        """Fit the standardisers of the content and of the target."""
        self.sequences.fit(samples.features, videos)
        self.standardise_target.fit(samples.target[videos])

    def description(self) -> dict[str, Any]:
        """Return what `from_description` needs to build the same network."""
        return {"config": asdict(self.config), "widths": asdict(self.feature_widths), "targets": self.targets}

    @classmethod
    def from_description(cls, description: Mapping[str, Any], *, temporal_encoder: nn.Module | None) -> Self:
        """Build the network that `description` returned, with initial weights."""
        config = cls.config_class(**description["config"])
        return cls(config, Widths(**description["widths"]), targets=description["targets"])
