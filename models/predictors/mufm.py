"""MUFM: MMRA's network with sound, beside the likelihood of the feedback and a recommendation score (arXiv 2411.15455v1)."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from models.hawkes import ExponentialHawkes, fit
from models.predictors.content_network import ContentNetwork
from models.predictors.content_sequences import lacking
from models.predictors.features import Widths
from models.predictors.feedback import Feedback
from models.predictors.mmra import retrieved_content
from models.predictors.neural_predictor import NeuralPredictor
from models.predictors.retrieved_content import RetrievedContent, RetrievedContentConfig
from models.predictors.samples import Bank, Minibatch, Samples
from models.predictors.standardise import Standardiser
from models.predictors.table import Table
from models.predictors.training_options import TrainingOptions

RECOMMENDATION_COLUMN = "recommendation_score"
WINDOWS = 256  # whose likelihoods are computed at once


@dataclass(frozen=True)
class MUFMConfig(RetrievedContentConfig):
    """Hyper-parameters of MUFM; see `RetrievedContentConfig` for those that MMRA has too.

    Attributes:
        hidden: Width of the output of eq. 17.
        head: "linear" is eq. 17 as printed. "relu" puts a ReLU between eq. 17 and eq. 18.
        feedback: What is read of the feedback. "likelihood": the log-likelihood of the window under the fitted process.
            "classical": the same of a Hawkes process with exponential kernels and no network, fitted to the training windows
            (noMamba in table 4). "state": a score that is linear in the mean of the process's states, and trained with the
            network (noHP). "none": nothing.
        recommendation_column: Name of the numeric column of the table that holds a recommendation score per video; None or
            empty for no score (noSAS in table 4). The predictor's default is the store's own score, if there is one.

    Raises:
        ValueError: A value is outside its range; the message states the range.
    """

    alpha: float = 0.2
    interaction: Literal["inner", "product"] = "product"
    head: Literal["linear", "relu"] = "relu"
    feedback: Literal["likelihood", "classical", "state", "none"] = "likelihood"
    recommendation_column: str | None = None


class MUFM(ContentNetwork):
    """Network of the paper's section 3: H of `RetrievedContent` and two scalars, the forecast linear in both (eq. 17, 18).

    H has two value projections per sign (eq. 28, 29), the softmax of normalised similarities as weights (appendix 4), and
    labels embedded without an activation. The process stays as it was fitted; with `feedback = "state"` its network is
    trained too. An unknown recommendation score is the training mean.
    """

    config_class = MUFMConfig

    def __init__(
        self,
        config: MUFMConfig,
        widths: Widths,
        *,
        targets: int = 1,
        temporal_encoder: nn.Module | None = None,
    ) -> None:
        """Build the network.

        Args:
            config: Hyper-parameters.
            widths: Width of the features, per modality.
            targets: T, the number of targets.
            temporal_encoder: The fitted process, a `models.temporal.TemporalEncoder`; None to read no feedback.
        """
        super().__init__(config, widths, targets=targets)
        self.content = RetrievedContent(
            config,
            self.sequences.widths,
            targets=targets,
            separate_values=True,
            normalise_similarities=True,
            rectify_labels=False,
        )
        self.output = nn.Linear(self.content.width, config.hidden)
        self.dropout = nn.Dropout(config.dropout)
        self.temporal_encoder = temporal_encoder
        if temporal_encoder is not None:
            is_trained = config.feedback == "state"
            temporal_encoder.requires_grad_(is_trained)
            if is_trained:
                self.score_of_state = nn.Linear(temporal_encoder.process.hidden, 1)
            else:
                self.standardise_likelihood = Standardiser(1)
            if config.feedback == "classical":
                self.classical = ExponentialHawkes(temporal_encoder.process.num_types).requires_grad_(False)
        if self.reads_tables:
            self.standardise_recommendation = Standardiser(1)
        self.head = nn.Linear(config.hidden + self.reads_feedback + self.reads_tables, targets)

    @property
    def reads_feedback(self) -> bool:
        """Whether minibatches need feedback: if a process is inside."""
        return self.temporal_encoder is not None

    @property
    def reads_tables(self) -> bool:
        """Whether minibatches need tables: with a recommendation score."""
        return bool(self.config.recommendation_column)

    def forecast(self, batch: Minibatch) -> Tensor:
        """Return predictions (b, T) for a minibatch."""
        output = self.output(retrieved_content(self, batch))
        parts = [self.dropout(output.relu() if self.config.head == "relu" else output)]
        if batch.feedback is not None:
            parts.append(self._feedback_score(batch.feedback))
        if batch.tables is not None:
            score = torch.from_numpy(self._recommendation(batch.tables[0])).to(output)
            parts.append(self.standardise_recommendation(score).nan_to_num(0.0))
        return self.standardise_target.inverse(self.head(torch.cat(parts, -1)))

    def fit_scales(self, samples: Samples, videos: np.ndarray) -> None:
        """Fit the standardisers; that of the likelihood to all windows, because likelihoods grow with the age."""
        super().fit_scales(samples, videos)
        if self.reads_tables:
            self.standardise_recommendation.fit(self._recommendation(samples.table))
        if self.reads_feedback and self.config.feedback != "state":
            if self.config.feedback == "classical":
                self._fit_classical(samples)
            windows = torch.arange(len(samples)).split(WINDOWS)
            likelihoods = [self._likelihood(samples.feedback.take(rows)).numpy() for rows in windows]
            self.standardise_likelihood.fit(np.concatenate(likelihoods))

    def parameter_groups(self, options: TrainingOptions) -> list[dict[str, Any]]:
        """Return the network's parameters and, if it is trained, those of the process with a learning rate of their own."""
        process = list(self.constrained_parameters())
        of_process = {id(parameter) for parameter in process}
        groups = [{"params": [p for p in self.parameters() if id(p) not in of_process], "lr": options.learning_rate}]
        if self.reads_feedback and self.config.feedback == "state":
            # Weight decay would pull the fitted process towards 0, away from its fit.
            groups.append({"params": process, "lr": options.process_learning_rate, "weight_decay": 0.0})
        return groups

    def constrained_parameters(self) -> Iterable[nn.Parameter]:
        """Return the parameters of the process."""
        return () if self.temporal_encoder is None else self.temporal_encoder.parameters()

    def description(self) -> dict[str, Any]:
        """Return what `from_description` needs to build the same network."""
        return {**super().description(), "process": self.reads_feedback}

    @classmethod
    def from_description(cls, description: Mapping[str, Any], *, temporal_encoder: nn.Module | None) -> MUFM:
        """Build the network that `description` returned, with initial weights.

        Args:
            description: The description.
            temporal_encoder: An encoder of the same shape, for a network with a process inside; else it is ignored.

        Raises:
            ValueError: The network needs an encoder, and there is none.
        """
        if description["process"] and temporal_encoder is None:
            raise ValueError("the model needs a temporal_encoder")
        return cls(
            MUFMConfig(**description["config"]),
            Widths(**description["widths"]),
            targets=description["targets"],
            temporal_encoder=copy.deepcopy(temporal_encoder) if description["process"] else None,
        )

    def _feedback_score(self, feedback: Feedback) -> Tensor:
        """Return (b, 1): the standardised log-likelihood, or the score of the states."""
        if self.config.feedback == "state":
            return self.score_of_state(self.temporal_encoder.mean_state(feedback.observed).to(self.output.weight))
        return self.standardise_likelihood(self._likelihood(feedback).to(self.output.weight))

    @torch.no_grad()
    def _likelihood(self, feedback: Feedback) -> Tensor:
        """Return Likelihood_MHP of eq. 47, (b, 1) float64, from the first event of each window to the last."""
        process = self.classical if self.config.feedback == "classical" else self.temporal_encoder
        return process.log_likelihood(feedback.observed, window="events").unsqueeze(1)

    def _fit_classical(self, samples: Samples) -> None:
        """Fit the classical process to the training windows that were not cut at a younger age."""
        whole = np.flatnonzero(np.ones(len(samples), bool) if samples.age is None else np.isnan(samples.age))
        windows = samples.feedback.take(torch.from_numpy(whole if len(whole) else np.arange(len(samples)))).observed
        self.classical.requires_grad_(True)
        fit(self.classical, windows, windows)
        self.classical.requires_grad_(False)

    def _recommendation(self, table: Table) -> np.ndarray:
        """Return the recommendation scores, (n, 1), NaN where one is unknown."""
        return table.numeric[:, [table.numeric_names.index(self.config.recommendation_column)]]


class MUFMPredictor(NeuralPredictor):
    """MUFM as a predictor.

    The paper retrieves by content alone; here the neighbours are those of the store, so `retrieval.similarity = "content"` is
    the paper's form. Without a fitted process it reads no feedback, and is the paper's AUG-MMRA.
    """

    title = "MUFM"
    code = 1
    network_class = MUFM
    config_class = MUFMConfig
    # Section 4.1. The width is MMRA's; none is printed.
    paper = MappingProxyType(
        {
            "width": 768,
            "hidden": 768,
            "alpha": 0.2,
            "neighbours": 20,
            "temperature": 1.0,
            "interaction": "product",
            "share": True,
            "head": "linear",
            "dropout": 0.0,
            "learning_rate": 1e-4,
            "weight_decay": 1e-3,
            "batch_size": 64,
            "averaging": 0.0,
        }
    )
    reads = (*NeuralPredictor.reads, "similarity")

    @classmethod
    def further_values(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the column of the store's own recommendation score, which is read if the table has it."""
        return {"recommendation_column": RECOMMENDATION_COLUMN}

    def takes(self, temporal_encoder: nn.Module) -> bool:
        """Return whether the feedback is read."""
        return self.config.feedback != "none"

    @classmethod
    def reads_table(cls, settings: Mapping[str, Any]) -> bool:
        """Return whether a column of the table is the recommendation score."""
        return bool(settings["options"].get("recommendation_column", RECOMMENDATION_COLUMN))

    @property
    def sees_feedback(self) -> bool:
        """Whether there is a process and the feedback is read."""
        return self.temporal_encoder is not None

    def obstacle(self, train: Samples, bank: Bank) -> str | None:
        """Return that there is no content at all; None if a training video has frames, sound or words."""
        missing = [lacking(train.features, [name]) for name in self.config.modalities]
        return f"no training video has {' or '.join(missing)}" if all(missing) else None

    def build(self, samples: Samples) -> MUFM:
        """Return a network with initial weights, with a copy of the process inside.

        Raises:
            ValueError: Fewer neighbours were retrieved than the network takes, or the column of the recommendation score does
                not exist.
        """
        self.config.check_neighbours(samples)
        column, names = self.config.recommendation_column, () if samples.table is None else samples.table.numeric_names
        config = self.config
        if column and column not in names:
            if column != RECOMMENDATION_COLUMN:
                raise ValueError(f"recommendation_column must be one of {', '.join(names) or 'none'}, given {column!r}")
            config = replace(config, recommendation_column=None)
        return MUFM(
            config,
            samples.features.widths,
            targets=samples.target.shape[1],
            temporal_encoder=copy.deepcopy(self.temporal_encoder),
        )
