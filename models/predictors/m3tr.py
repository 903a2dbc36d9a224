"""M3TR's predictor: attention between a video's modalities, interactions with its retrieved videos, one output per target.

Equations are those of M3TR (arXiv 2411.15455v2), appendices E and F. `docs/predictor.md` lists them one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.predictors.attention import BipolarAttention
from models.predictors.content_sequences import MaskedRows
from models.predictors.features import MODALITIES, NeighbourBatch, VideoBatch, Widths
from models.predictors.feedback import Completed
from models.predictors.m3tr_config import M3TRConfig
from models.predictors.neighbour_mean import mean_rows, neighbour_weights, weight_matrix
from models.predictors.network import PredictorNetwork
from models.predictors.pooling import AttentivePooling
from models.predictors.samples import Minibatch, Samples
from models.predictors.standardise import Standardiser
from models.predictors.table import Table
from models.predictors.table_embedding import TableColumns, TableEmbedding
from models.predictors.training_options import TrainingOptions

# The three sequences of a video: audio-visual, textual, temporal (X^c, X^t, X^s), in the papers' letters.
SEQUENCES = ("c", "t", "s")
PAIRS = (("c", "t"), ("t", "s"), ("c", "s"))
# A fourth one that the papers lack: metadata and counts.
METADATA = "m"
PAIRS_WITH_METADATA = (("c", METADATA), ("t", METADATA), ("s", METADATA))


class M3TR(PredictorNetwork):
    """Network that predicts a video's popularity from its features and those of its neighbours.

    `M3TRPredictor` builds and fits one.
    """

    def __init__(
        self,
        config: M3TRConfig,
        widths: Widths,
        *,
        targets: int = 1,
        columns: TableColumns | None = None,
        temporal_encoder: nn.Module | None = None,
    ) -> None:
        """Build the network.

        Args:
            config: Hyper-parameters and switches.
            widths: Width of the features, per modality.
            targets: T, the number of targets.
            columns: Columns of the table, with `config.use_metadata`; else None.
            temporal_encoder: The process inside the predictor, or None. Its rows, of width `temporal_encoder.width`,
                replace the targets' stored temporal rows.

        Raises:
            ValueError: The encoder's width differs from the width of the stored rows, or the columns are missing.
        """
        super().__init__()
        self.config, self.widths, self.targets, self.temporal_encoder = config, widths, targets, temporal_encoder
        if temporal_encoder is not None and temporal_encoder.width != widths.temporal:
            raise ValueError(
                f"the process makes temporal rows of width {temporal_encoder.width}, but the stored rows have width "
                f"{widths.temporal}"
            )
        if config.use_metadata != (columns is not None):
            raise ValueError("use_metadata and columns of a table go together; one of them is missing")
        self.columns = columns
        self.sequences = SEQUENCES if columns is None else (*SEQUENCES, METADATA)
        self.pairs = PAIRS if columns is None else PAIRS + PAIRS_WITH_METADATA
        d = config.width
        self.standardise = nn.ModuleDict({name: Standardiser(getattr(widths, name)) for name in MODALITIES})
        self.standardise_target = Standardiser(targets)
        self.embed = nn.ModuleDict(
            {
                "c": nn.Linear(widths.visual + widths.acoustic + 2, d),  # W_c of eq. 27; + 2: see _sequences
                "t": nn.Linear(widths.text, d),  # W_t of eq. 28
                "s": nn.Linear(widths.temporal, d),
            }
        )
        self.attention = nn.ModuleDict(
            {
                x + y: BipolarAttention(
                    d, alpha=config.alpha, positive=config.use_positive, negative=config.use_negative
                )
                for x, y in self.pairs
            }
        )
        # "Concatenation and transformation" of each sequence's enriched versions, one per other sequence: W_2 of eq. 33-34
        # for each version, then a linear layer over all side by side.
        versions = len(self.sequences) - 1
        self.transform = nn.ParameterDict({name: _uniform(versions, d, d) for name in self.sequences})
        self.combine = nn.ModuleDict({name: nn.Linear(versions * d, d) for name in self.sequences})
        self.pool = nn.ModuleDict({name: AttentivePooling(d) for name in self.sequences})
        self.absent = nn.Parameter(torch.zeros(len(self.sequences), d))
        self.embed_label = nn.Linear(targets, d)
        if targets > 1:  # with one target, every neighbour's label is known
            self.unknown_label = nn.Parameter(torch.zeros(targets, d))
        if columns is not None:
            self.embed_table = TableEmbedding(columns, d)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Sequential(
            nn.Linear(self._head_width(), config.hidden), nn.ReLU(), self.dropout, nn.Linear(config.hidden, targets)
        )

    def forward(
        self,
        target: VideoBatch,
        neighbours: VideoBatch,
        neighbourhood: NeighbourBatch,
        *,
        completed: Completed | None = None,
        tables: tuple[Table, Table] | None = None,
    ) -> Tensor:
        """Return predictions for b videos.

        Args:
            target: The b videos.
            neighbours: The u distinct videos retrieved for them; u = 0 if no video of the batch has a neighbour.
            neighbourhood: (b, S), which of the u videos each target has, most similar first.
            completed: `models.temporal.Completed` of the b videos' feedback, from which the temporal encoder makes their
                temporal rows. None uses the targets' stored temporal rows.
            tables: Tables of the targets and the neighbours, with `config.use_metadata`.

        Returns:
            (b, T) on the scale of the targets that the model was fitted to.

        Raises:
            ValueError: With `aggregate="concat"`, S is not `config.neighbours`.
        """
        if completed is not None:
            with torch.autocast(target.temporal.device.type, enabled=False):  # a likelihood's gradients need float32
                target = target.with_temporal(*self.temporal_encoder(completed))
        own_table, their_table = tables or (None, None)
        own = self.encode(target, own_table)  # (b, 3 or 4, d)
        parts = [own.flatten(1)]
        if self.config.use_retrieval:
            if self.config.aggregate == "concat" and neighbourhood.index.shape[1] != self.config.neighbours:
                raise ValueError(
                    f"the model takes {self.config.neighbours} neighbours per video, given {neighbourhood.index.shape[1]}"
                )
            parts += self._retrieved(own, neighbours, their_table, neighbourhood)
        standardised = self.head(torch.cat(parts, -1))  # (b, T)
        return self.standardise_target.inverse(standardised)

    @property
    def reads_feedback(self) -> bool:
        """Whether minibatches need feedback: if a process is inside."""
        return self.temporal_encoder is not None

    @property
    def reads_tables(self) -> bool:
        """Whether minibatches need tables: with metadata."""
        return self.config.use_metadata

    def forecast(self, batch: Minibatch) -> Tensor:
        """Return predictions (b, T) for a minibatch."""
        return self(batch.target, batch.neighbours, batch.neighbourhood, completed=batch.completed, tables=batch.tables)

    def fit_scales(self, samples: Samples, videos: np.ndarray) -> None:
        """Fit the standardisers; those of the table to all windows, because its counts grow with the age."""
        super().fit_scales(samples, videos)
        if self.config.use_metadata:
            self.embed_table.fit(samples.table)

    def further_weight(self, options: TrainingOptions) -> float:
        """Return gamma with a process inside, else 0."""
        return options.gamma if self.reads_feedback else 0.0

    def further_loss(self, batch: Minibatch) -> Tensor:
        """Return L_mhp, the negative log-likelihood per event of the windows' observed events."""
        events = batch.part.total(batch.feedback.observed.lengths.sum()).clamp(min=1)
        return -self.temporal_encoder.log_likelihood(batch.feedback.observed).sum() / events

    def parameter_groups(self, options: TrainingOptions) -> list[dict[str, Any]]:
        """Return the network's parameters, and those of the process with a learning rate of their own."""
        process = [] if self.temporal_encoder is None else list(self.temporal_encoder.parameters())
        process = [parameter for parameter in process if parameter.requires_grad]
        of_process = {id(parameter) for parameter in process}
        groups = [{"params": [p for p in self.parameters() if id(p) not in of_process], "lr": options.learning_rate}]
        if process:
            # Weight decay would pull the fitted process towards 0, away from its fit.
            groups.append({"params": process, "lr": options.process_learning_rate, "weight_decay": 0.0})
        return groups

    def constrained_parameters(self) -> Iterable[nn.Parameter]:
        """Return the parameters of the process inside."""
        return () if self.temporal_encoder is None else self.temporal_encoder.parameters()

    def after_step(self, optimiser: torch.optim.Optimizer, batch: Minibatch, options: TrainingOptions) -> None:
        """Apply the process's penalty and constraints, if it is trained."""
        if batch.feedback is not None and options.gamma > 0:
            strength = 0.0
            if options.penalty is not None:
                # The penalty is defined per sequence, the loss per event.
                events = batch.part.total(batch.feedback.observed.lengths.sum()).clamp(min=1)
                per_event = batch.part.total(len(batch.feedback)) / events
                strength = options.gamma * options.penalty_strength * float(per_event)
            self.temporal_encoder.constrain_(
                optimiser, penalty=options.penalty, strength=strength, max_branching=options.max_branching
            )

    def description(self) -> dict[str, Any]:
        """Return what `from_description` needs to build the same network."""
        return {
            "config": asdict(self.config),
            "widths": asdict(self.widths),
            "targets": self.targets,
            "columns": None if self.columns is None else asdict(self.columns),
            "process": self.temporal_encoder is not None,
        }

    @classmethod
    def from_description(cls, description: Mapping[str, Any], *, temporal_encoder: nn.Module | None) -> M3TR:
        """Build the network that `description` returned, with initial weights.

        Args:
            description: The description.
            temporal_encoder: An encoder of the same shape, for a network with a process inside; None for one without.

        Raises:
            ValueError: The encoder is missing, or the network takes none.
        """
        if description["process"] != (temporal_encoder is not None):
            requirement = "needs a" if description["process"] else "has no process inside and takes no"
            raise ValueError(f"the model {requirement} temporal_encoder")
        return cls(
            M3TRConfig(**description["config"]),
            Widths(**description["widths"]),
            targets=description["targets"],
            columns=None if description["columns"] is None else TableColumns(**description["columns"]),
            temporal_encoder=temporal_encoder,
        )

    def encode(self, videos: VideoBatch, table: Table | None = None) -> Tensor:
        """Return C, T and S of v videos, (v, 3, d) (appendix F.1); with metadata, a fourth vector.

        Targets and retrieved videos share the weights.
        """
        return self._fuse(*self._sequences(videos, table))

    def _fuse(self, x: dict[str, Tensor], masks: dict[str, Tensor]) -> Tensor:
        """Return C, T and S of embedded sequences, (v, 3, d): attention between them, then pooling."""
        enriched: dict[str, list[Tensor]] = {name: [] for name in self.sequences}
        for first, second in self.pairs:
            pair = self.attention[first + second](x[first], x[second], masks[first], masks[second])
            enriched[first].append(pair[0])  # (v, n, d)
            enriched[second].append(pair[1])  # (v, m, d)
        pooled = []
        for i, name in enumerate(self.sequences):
            vector = self._pool(name, torch.cat(enriched[name], -1), masks[name])  # (v, d)
            is_present = masks[name].any(-1, keepdim=True)
            pooled.append(torch.where(is_present, vector, self.absent[i]))
        return torch.stack(pooled, 1)

    def _pool(self, name: str, enriched: Tensor, mask: Tensor) -> Tensor:
        """Return [E_1 W_2, E_2 W_2'] W + b, pooled, (v, d).

        Args:
            name: The sequence: c, t, s or m.
            enriched: (v, n, 2d), E_1 and E_2 side by side; with metadata (v, n, 3d).
            mask: (v, n) bool.
        """
        combine = self.combine[name]
        halves = combine.weight.t().view(len(self.sequences) - 1, self.config.width, -1)  # W: (2d, d)
        return self.pool[name](enriched, mask, (self.transform[name] @ halves).flatten(0, 1), combine.bias)

    def _sequences(self, videos: VideoBatch, table: Table | None) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return X^c, X^t, X^s (v, rows, d) and their masks (v, rows) (eq. 26-28); with metadata, a fourth sequence."""
        use = self.config
        visual, visual_mask = self._rows(videos, "visual", use.use_visual)
        acoustic, acoustic_mask = self._rows(videos, "acoustic", use.use_audio)
        text, text_mask = self._rows(videos, "text", use.use_text)
        temporal, temporal_mask = self._rows(videos, "temporal", use.use_temporal)
        # A frame without sound (or a sound without a frame) has the training mean, zero, in the missing half of eq. 26. A
        # channel per half marks it as missing. Where both halves exist, both channels are zero and eq. 27 is as printed.
        absent = torch.stack([~visual_mask, ~acoustic_mask], -1).to(visual.dtype)  # (v, K, 2)
        audio_visual = torch.cat([visual, acoustic, absent], -1)  # eq. 26
        masks = {"c": visual_mask | acoustic_mask, "t": text_mask, "s": temporal_mask}
        rows = {"c": audio_visual, "t": text, "s": temporal}
        x = {name: self.dropout(self.embed[name](rows[name]).relu()) for name in SEQUENCES}
        if self.config.use_metadata:
            x[METADATA] = self.dropout(self.embed_table(table).relu())
            masks[METADATA] = torch.ones(x[METADATA].shape[:2], dtype=torch.bool, device=x[METADATA].device)
        return x, masks

    def _rows(self, videos: VideoBatch, name: str, used: bool) -> tuple[Tensor, Tensor]:
        rows, mask = getattr(videos, name), getattr(videos, f"{name}_mask")
        if not used:  # an ablated modality is treated as missing in every video
            return torch.zeros_like(rows), torch.zeros_like(mask)
        return self.standardise[name](rows) * mask.unsqueeze(-1), mask

    def _retrieved(
        self, own: Tensor, neighbours: VideoBatch, table: Table | None, neighbourhood: NeighbourBatch
    ) -> list[Tensor]:
        """Return the retrieved part of H and the cross-sample interactions I, each (b, ...) (appendix F.2)."""
        use, mask = self.config, neighbourhood.mask[..., None, None]  # (b, S, 1, 1)
        by_rows = use.aggregate == "rows" and len(neighbours)
        if by_rows:
            videos = self._fuse(*self._average_rows(*self._sequences(neighbours, table), neighbourhood)).unsqueeze(1)
            videos = videos * mask.any(1, keepdim=True)  # (b, 1, 3, d), or 4 vectors with metadata
        else:
            encoded = self.encode(neighbours, table) if len(neighbours) else own.new_zeros(1, *own.shape[1:])
            videos = encoded[neighbourhood.index] * mask  # (b, S, 3, d)
        parts = [videos]
        if use.use_labels:
            label = self._labels(neighbourhood.label).unsqueeze(2) * mask  # (b, S, 1, d)
            parts.append(self._average(label, neighbourhood) if by_rows else label)
        retrieved = torch.cat(parts, 2)  # (b, S, 4, d): C^r, T^r, S^r, L^r
        if use.aggregate != "concat" and not by_rows:
            retrieved = self._average(retrieved, neighbourhood)  # (b, 1, 4, d)
        if use.interaction == "product":
            interactions = torch.einsum("bmd,bskd->bsmkd", own, retrieved)
        else:
            # Inner products of C, T, S with each of C^r, T^r, S^r, L^r. The division by sqrt(d) keeps them on the scale of
            # the other coordinates of H.
            interactions = torch.einsum("bmd,bskd->bsmk", own, retrieved) / use.width**0.5
        return [retrieved.flatten(1), interactions.flatten(1)]

    def _average(self, vectors: Tensor, neighbourhood: NeighbourBatch) -> Tensor:
        """Return the mean of the neighbours' vectors (b, S, m, d), weighted by similarity, (b, 1, m, d) (MMRA eq. 4)."""
        return torch.einsum("bs,bsmd->bmd", self._weights(neighbourhood), vectors).unsqueeze(1)

    def _average_rows(
        self, x: dict[str, Tensor], masks: dict[str, Tensor], neighbourhood: NeighbourBatch
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the means of the neighbours' rows as b sequences (b, rows, d) with masks (b, rows); see `mean_rows`.

        Args:
            x: Sequences of the u distinct neighbours, (u, rows, d).
            masks: Their masks, (u, rows).
            neighbourhood: (b, S), which of the u videos each target has.
        """
        matrix = weight_matrix(self._weights(neighbourhood), neighbourhood.index, len(x["c"]))
        means = {name: mean_rows(MaskedRows(rows, masks[name]), matrix) for name, rows in x.items()}
        return {name: rows.values for name, rows in means.items()}, {name: rows.mask for name, rows in means.items()}

    def _weights(self, neighbourhood: NeighbourBatch) -> Tensor:
        """Return the neighbours' weights (b, S), which sum to 1; zeros for a video without neighbours."""
        return neighbour_weights(neighbourhood, temperature=self.config.temperature)

    def _labels(self, label: Tensor) -> Tensor:
        """Return labels (b, S, T) embedded, (b, S, d). An unknown label is the mean, and a learned vector marks it."""
        embedded = self.embed_label(self.standardise_target(label).nan_to_num(0.0))
        return embedded if self.targets == 1 else embedded + label.isnan().to(label.dtype) @ self.unknown_label

    def _head_width(self) -> int:
        d, use, own = self.config.width, self.config, len(self.sequences)
        if not use.use_retrieval:
            return own * d
        kinds = own + use.use_labels
        copies = use.neighbours if use.aggregate == "concat" else 1
        width = d if use.interaction == "product" else 1
        return own * d + copies * kinds * (d + own * width)


def _uniform(*shape: int) -> nn.Parameter:
    """Return a parameter initialised as in nn.Linear: uniform within 1 / sqrt(inputs)."""
    return nn.Parameter(torch.empty(shape).uniform_(-(shape[-2] ** -0.5), shape[-2] ** -0.5))
