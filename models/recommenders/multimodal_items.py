"""Items as vectors: content through a linear layer per modality, or a learned vector per item, or both."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from models.predictors.features import PackedRows
from models.predictors.standardise import Standardiser
from models.recommenders.item_features import ItemFeatures


class MultimodalItems(nn.Module):
    """Item vectors of MUFM's appendix 5: m_j = LayerNorm(Linear([f_j W_f, c_j W_i, t_j W_t])).

    With `ids`, a learned vector per item is added before the normalisation. Without any content, m_j is that vector alone.
    A modality that an item lacks is the mean of the training items.
    """

    def __init__(self, widths: Mapping[str, int], width: int, *, items: int | None) -> None:
        """Build the layers.

        Args:
            widths: Width of the vectors, per modality.
            width: d, width of an item vector.
            items: N, to learn a vector per item; None for content alone.

        Raises:
            ValueError: There is neither content nor a vector per item.
        """
        super().__init__()
        if not widths and items is None:
            raise ValueError("items need content, or a vector each (ids = true)")
        self.widths = dict(widths)
        self.standardise = nn.ModuleDict({name: Standardiser(size) for name, size in widths.items()})
        self.project = nn.ModuleDict({name: nn.Linear(size, width, bias=False) for name, size in widths.items()})
        if widths:
            self.join = nn.Linear(len(widths) * width, width)
            self.normalise = nn.LayerNorm(width)
            # Users are normalised to a length of sqrt(d). Items of length 1 give first scores of about 1, as a sigmoid wants.
            nn.init.constant_(self.normalise.weight, width**-0.5)
        if items is not None:
            self.ids = nn.Embedding(items, width)
            nn.init.normal_(self.ids.weight, std=0.02)

    @property
    def has_ids(self) -> bool:
        """Whether each item has a learned vector."""
        return hasattr(self, "ids")

    def fit_scales(self, features: ItemFeatures, rows: np.ndarray) -> None:
        """Fit the standardisers to the items at `rows` (m,), the training items."""
        for name, layer in self.standardise.items():
            known = features.known.get(name)
            own = rows if known is None else rows[known[rows]]
            layer.fit_rows(PackedRows(features.vectors[name], own, np.ones(len(own), np.int64), longest=1), name=name)

    def read(self, features: ItemFeatures, rows: np.ndarray) -> dict[str, Tensor]:
        """Return the vectors of the items at `rows` (m,), standardised, by modality: (m, width) float32 on the CPU."""
        content = {}
        for name, layer in self.standardise.items():
            values = np.asarray(features.vectors[name][rows], np.float32)
            values = (values - layer.mean.cpu().numpy()) / layer.scale.cpu().numpy()
            if name in features.known:
                values[~features.known[name][rows]] = 0.0
            content[name] = torch.from_numpy(values)
        return content

    def forward(self, content: Mapping[str, Tensor], rows: Tensor) -> Tensor:
        """Return item vectors (m, d).

        Args:
            content: From `read`, on the network's device.
            rows: (m,) rows of the items, which only learned vectors read.
        """
        if not self.widths:
            return self.ids(rows)
        joined = self.join(torch.cat([self.project[name](content[name]) for name in self.widths], -1))
        return self.normalise(joined + self.ids(rows) if self.has_ids else joined)
