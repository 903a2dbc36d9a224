"""Vectors of items for click models: from content, and from learned vectors of the item and its category if wanted."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.predictors.standardise import Standardiser
from models.recommenders.click_batch import ClickBatch

SMALL = 0.1  # deviation of the learned vectors at the start


class ItemEncoder(nn.Module):
    """Item vectors x = Linear(content) + id vector, with the vector of the item's category beside it if wanted.

    Content is standardised with the training items' statistics; a modality that an item lacks counts as its mean. Without id
    vectors, an item that was never in the training can be scored. Gradients of the id vectors are sparse: a step costs as
    much as its own items, however many items there are.
    """

    def __init__(self, inputs: int, width: int, *, items: int = 0, categories: int = 0) -> None:
        """Build the layer.

        Args:
            inputs: f, the width of the content; may be 0 if there are id vectors.
            width: d, the width of the vectors; with categories they are 2d wide.
            items: Number of items with a learned vector; 0 for none.
            categories: Number of categories with a learned vector, the unknown one included; 0 for none.
        """
        super().__init__()
        self.width = width * (2 if categories else 1)
        self.standardise = Standardiser(inputs)
        self.content = nn.Linear(inputs, width) if inputs else None
        self.ids = nn.Embedding(items, width, sparse=True) if items else None
        if self.ids is not None:
            nn.init.normal_(self.ids.weight, std=SMALL)
        self.category = nn.Embedding(categories, width) if categories else None

    def forward(self, batch: ClickBatch) -> Tensor:
        """Return the vectors of the batch's items, (m, width)."""
        parts = []
        if self.content is not None:
            parts.append(self.content(torch.nan_to_num(self.standardise(batch.content))))
        if self.ids is not None:
            parts.append(self.ids(batch.item))
        vectors = torch.stack(parts).sum(0)
        return vectors if self.category is None else torch.cat([vectors, self.category(batch.category)], -1)
