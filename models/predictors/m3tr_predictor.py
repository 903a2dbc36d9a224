"""M3TR as a predictor: its settings, and the process that is trained inside it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from torch import nn

from models.predictors.m3tr import M3TR
from models.predictors.m3tr_config import M3TRConfig
from models.predictors.neural_predictor import NeuralPredictor
from models.predictors.samples import Samples
from models.predictors.table_embedding import TableColumns

SWITCHES = tuple(field.name for field in fields(M3TRConfig) if field.name.startswith("use_"))


class M3TRPredictor(NeuralPredictor):
    """M3TR with its joint loss L = L_pred + gamma L_mhp (section 3.4)."""

    title = "M3TR"
    code = 7
    network_class = M3TR
    config_class = M3TRConfig
    # Section 4.2.3 and eq. 5. The width is that of the frozen features. Printed are one learning rate for the whole network
    # and no average of weights.
    paper = MappingProxyType(
        {
            "width": 768,
            "hidden": 768,
            "alpha": 0.8,
            "dropout": 0.0,
            "aggregate": "concat",
            "temperature": 1.0,
            "interaction": "inner",
            "use_metadata": False,
            "learning_rate": 1e-5,
            "process_learning_rate": 1e-5,
            "batch_size": 64,
            "weight_decay": 1e-3,
            "averaging": 0.0,
        }
    )
    reads = (
        *NeuralPredictor.reads,
        *("alpha", "aggregate", "penalty", "penalty_strength", "similarity"),
        *SWITCHES,
    )

    def takes(self, temporal_encoder: nn.Module) -> bool:
        """Return whether the temporal branch is used and the process has parameters.

        A copy of the process makes the windows' temporal rows, and is trained too if gamma > 0; samples then need feedback.
        Otherwise the stored temporal rows are read. Without parameters there is nothing to train, and the stored rows are the
        encoder's.
        """
        return self.config.use_temporal and any(True for _ in temporal_encoder.parameters())

    @classmethod
    def reads_table(cls, settings: Mapping[str, Any]) -> bool:
        """Return whether metadata are a fourth sequence."""
        return settings["options"].get("use_metadata", settings["use_metadata"])

    @classmethod
    def further_values(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the switches, the form of the attention, and the penalty of the process's own fit."""
        penalty = None if settings["penalty"] == "none" else settings["penalty"]
        values = {name: settings[name] for name in ("alpha", "aggregate", "penalty_strength", *SWITCHES)}
        return {**values, "penalty": penalty}

    @property
    def sees_feedback(self) -> bool:
        """Whether the temporal branch is used."""
        return self.config.use_temporal

    def build(self, samples: Samples) -> M3TR:
        """Return a network with initial weights, with a copy of the process inside."""
        encoder = copy.deepcopy(self.temporal_encoder)
        if encoder is not None and self.options.gamma == 0:
            encoder.requires_grad_(False)
        if self.config.use_metadata and samples.table is None:
            raise ValueError("use_metadata needs `samples.table`, given None")
        return M3TR(
            self.config,
            samples.features.widths,
            targets=samples.target.shape[1],
            columns=TableColumns.of(samples.table) if self.config.use_metadata else None,
            temporal_encoder=encoder,
        )
