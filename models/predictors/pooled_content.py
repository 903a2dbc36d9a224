"""A video as one vector per modality: the mean of its frames, sounds or words, standardised, and its metadata.

Networks that read no sequences take these vectors. A missing modality is a mask, never an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from models.predictors.column_groups import group_of
from models.predictors.content_components import mean_rows
from models.predictors.features import VideoBatch
from models.predictors.ranges import COUNT, NOT_NEGATIVE, RATE, check_ranges
from models.predictors.row_scaler import compress
from models.predictors.samples import Samples
from models.predictors.standardise import Standardiser
from models.predictors.table import Table

SOCIAL = "social"  # the modality that metadata are
SWITCHES = {"visual": "use_visual", "acoustic": "use_audio", "text": "use_text", SOCIAL: "use_metadata"}


class Pooled(NamedTuple):
    """One modality of v videos.

    Attributes:
        vectors: (v, d), zero for a video without the modality.
        present: (v,) bool, False for a video without the modality.
    """

    vectors: Tensor
    present: Tensor


@dataclass(frozen=True)
class ContentConfig:
    """Which modalities a network over pooled content reads.

    Attributes:
        use_visual: Whether to read frames.
        use_audio: Whether to read sound.
        use_text: Whether to read words.
        use_metadata: Whether to read the numeric columns of the table of metadata, except counts.
        use_counts: Whether to read also the feedback that was counted by the window's age. The papers' networks forecast at
            publication and do not see it.

    Raises:
        ValueError: Nothing is left to read, or a value is outside its range; the message states what is allowed.
    """

    use_visual: bool = True
    use_audio: bool = True
    use_text: bool = True
    use_metadata: bool = True
    use_counts: bool = False

    def __post_init__(self) -> None:
        """Check the values, also those of a subclass: its whole numbers, its rates and its weights."""
        names = (*SWITCHES.values(), "use_counts")
        if not any(getattr(self, name) for name in names):
            raise ValueError(f"at least one of {', '.join(names)} must be true, given all false")
        by_type = {"int": COUNT, "float": NOT_NEGATIVE}
        ranges = {field.name: by_type[field.type] for field in fields(self) if field.type in by_type}
        check_ranges(self, **(ranges | ({"dropout": RATE} if "dropout" in ranges else {})))

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities of content that are read."""
        return tuple(name for name, switch in SWITCHES.items() if name != SOCIAL and getattr(self, switch))

    @property
    def reads_table(self) -> bool:
        """Whether columns of the table are read."""
        return self.use_metadata or self.use_counts

    def columns(self, table: Table | None) -> tuple[str, ...]:
        """Return the names of the numeric columns that are read.

        Args:
            table: The table of the training windows, or None.
        """
        names = () if table is None else table.numeric_names
        return tuple(name for name in names if (self.use_counts if group_of(name) == "counts" else self.use_metadata))


class PooledColumns(nn.Module):
    """Numeric columns as a vector: per column a standardised number and a mark.

    Most columns are counts with a heavy tail, so each number x becomes sign(x) log(1 + |x|) before it is standardised. An
    unknown number becomes 0 and its mark 1.

    Attributes:
        columns: Names of the p columns.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        """Build the layer for columns with these names."""
        super().__init__()
        self.columns = tuple(columns)
        self.standardise = Standardiser(len(self.columns))

    @property
    def width(self) -> int:
        """Width of the vector, 2 p."""
        return 2 * len(self.columns)

    def fit(self, table: Table) -> None:
        """Fit the scales to the training windows."""
        self.standardise.fit(self._numbers(table))

    def forward(self, table: Table) -> Pooled:
        """Return the vectors of v windows; a window without a known number lacks the modality.

        Raises:
            ValueError: The table lacks a column.
        """
        numbers = torch.from_numpy(self._numbers(table)).to(self.standardise.mean)
        unknown = numbers.isnan()
        scaled = self.standardise(numbers).nan_to_num(0.0)
        present = ~unknown.all(-1)
        return Pooled(torch.cat([scaled, unknown.to(scaled.dtype)], -1) * present.unsqueeze(-1), present)

    def _numbers(self, table: Table) -> np.ndarray:
        """Return (v, p) numbers, NaN where unknown."""
        missing = sorted(set(self.columns) - set(table.numeric_names))
        if missing:
            raise ValueError(f"the table lacks columns that the model was trained with: {', '.join(missing)}")
        numbers = table.numeric[:, [table.numeric_names.index(name) for name in self.columns]]
        return compress(numbers)


class PooledContent(nn.Module):
    """Mean row of each modality, standardised by the training videos' means; with columns also their vector."""

    def __init__(self, widths: Mapping[str, int], columns: Sequence[str] = ()) -> None:
        """Build the layer.

        Args:
            widths: Modality -> width of its rows, for the modalities to read.
            columns: Names of the table's columns to read.
        """
        super().__init__()
        self.standardise = nn.ModuleDict({name: Standardiser(width) for name, width in widths.items()})
        self.social = PooledColumns(columns)

    @property
    def row_widths(self) -> dict[str, int]:
        """Modality -> width of its rows, without the columns."""
        return {name: len(layer.mean) for name, layer in self.standardise.items()}

    @property
    def widths(self) -> dict[str, int]:
        """Modality -> width of its vector."""
        return self.row_widths | ({SOCIAL: self.social.width} if self.social.columns else {})

    def fit(self, samples: Samples, videos: np.ndarray) -> None:
        """Fit the scales; those of the columns to all windows, because counts grow with the age.

        Args:
            samples: Windows of the training videos.
            videos: (v,) numbers of windows, one per distinct video.
        """
        for name, layer in self.standardise.items():
            layer.fit(mean_rows(getattr(samples.features, name).take(videos)))
        if self.social.columns:
            self.social.fit(samples.table)

    def forward(self, videos: VideoBatch, table: Table | None = None) -> dict[str, Pooled]:
        """Return the vectors of v videos by modality.

        Args:
            videos: The videos.
            table: Their table; needed if the layer has columns.
        """
        pooled = {}
        for name, layer in self.standardise.items():
            rows, mask = getattr(videos, name), getattr(videos, f"{name}_mask")
            present = mask.any(1)
            means = rows.sum(1) / mask.sum(1, keepdim=True).clamp(min=1)  # masked rows are zero
            pooled[name] = Pooled(layer(means) * present.unsqueeze(-1), present)
        if self.social.columns:
            pooled[SOCIAL] = self.social(table)
        return pooled
