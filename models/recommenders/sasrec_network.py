"""The network of SASRec: causal self-attention over the vectors of a user's clicks (Kang and McAuley 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.predictors.ranges import COUNT, RATE, check_ranges
from models.recommenders.multimodal_items import MultimodalItems

Loss = Literal["bce", "softmax"]
Norm = Literal["pre", "post"]
Activation = Literal["relu", "gelu"]


@dataclass(frozen=True)
class SASRecConfig:
    """Hyper-parameters of SASRec.

    Attributes:
        width: d, width of items and users.
        inner: Width of the feed-forward layer between its two linear layers.
        layers: Number of blocks.
        heads: Heads of the attention; they divide `width`.
        dropout: Dropout.
        length: L, the last clicks that are read.
        ids: Whether each item has a learned vector beside its content. An item without training clicks then has an
            untrained part, so only False can score new uploads.
        loss: "bce" is MUFM's: binary cross-entropy of the next click and `negatives` items drawn uniformly. "softmax" is
            the cross-entropy over all training items, which ranks better and takes memory for every item at every position.
        negatives: Drawn items per click, for "bce".
        norm: "pre" normalises before attention and feed-forward layer, as SASRec does, "post" after them.
        activation: Activation of the feed-forward layer.

    Raises:
        ValueError: A value is outside its range; the message states the range.
    """

    width: int = 64
    inner: int = 256
    layers: int = 2
    heads: int = 2
    dropout: float = 0.5
    length: int = 50
    ids: bool = False
    loss: Loss = "bce"
    negatives: int = 1
    norm: Norm = "pre"
    activation: Activation = "gelu"

    def __post_init__(self) -> None:
        """Check the values."""
        check_ranges(
            self, width=COUNT, inner=COUNT, layers=COUNT, heads=COUNT, length=COUNT, negatives=COUNT, dropout=RATE
        )
        for name, kind in (("loss", Loss), ("norm", Norm), ("activation", Activation)):
            if getattr(self, name) not in get_args(kind):
                raise ValueError(f"{name} must be one of {', '.join(get_args(kind))}, given {getattr(self, name)!r}")
        if self.width % self.heads:
            raise ValueError(f"heads must divide width {self.width}, given {self.heads}")


class Block(nn.Module):
    """Causal self-attention and a feed-forward layer, each with a residual connection."""

    def __init__(self, config: SASRecConfig) -> None:
        """Build the layers."""
        super().__init__()
        self.config = config
        self.project = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)
        self.inner = nn.Linear(config.width, config.inner)
        self.outer = nn.Linear(config.inner, config.width)
        self.normalise = nn.ModuleList(nn.LayerNorm(config.width) for _ in range(2))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, visible: Tensor) -> Tensor:
        """Return x (b, q, d) of the last q places after the block; `visible` (b, 1, q, l) says which places they read."""
        places = visible.shape[2]
        if self.config.norm == "pre":
            x = x[:, -places:] + self.dropout(self._attend(self.normalise[0](x), visible))
            return x + self.dropout(self._feed(self.normalise[1](x)))
        x = self.normalise[0](x[:, -places:] + self.dropout(self._attend(x, visible)))
        return self.normalise[1](x + self.dropout(self._feed(x)))

    def _attend(self, x: Tensor, visible: Tensor) -> Tensor:
        width, places = self.config.width, visible.shape[2]
        weight, bias = self.project.weight, self.project.bias
        query = functional.linear(x[:, -places:], weight[:width], bias[:width])
        key, value = functional.linear(x, weight[width:], bias[width:]).split(width, -1)
        query, key, value = (
            part.unflatten(-1, (self.config.heads, -1)).transpose(1, 2) for part in (query, key, value)
        )
        dropout = self.config.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=visible, dropout_p=dropout)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _feed(self, x: Tensor) -> Tensor:
        activate = functional.gelu if self.config.activation == "gelu" else torch.relu
        return self.outer(activate(self.inner(x)))


class SASRecNetwork(nn.Module):
    """Vectors F_t of users after each of their clicks, and vectors m_j of items; the score is F_t . m_j (MUFM eq. 38).

    Places are counted from a sequence's first click, and padding is masked, so padding on either side changes nothing.
    """

    config_class = SASRecConfig

    def __init__(self, config: SASRecConfig, widths: Mapping[str, int], *, items: int) -> None:
        """Build the network.

        Args:
            config: Hyper-parameters.
            widths: Width of the items' vectors, per modality.
            items: N, the number of items.
        """
        super().__init__()
        self.config, self.num_items = config, items
        self.items = MultimodalItems(widths, config.width, items=items if config.ids else None)
        self.place = nn.Embedding(config.length, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.normalise = nn.LayerNorm(config.width)
        self.dropout = nn.Dropout(config.dropout)
        for layer in self.modules():
            if isinstance(layer, nn.Linear | nn.Embedding):
                nn.init.normal_(layer.weight, std=0.02)
            if isinstance(layer, nn.Linear) and layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, clicks: Tensor, mask: Tensor, last: int) -> Tensor:
        """Return F (b, q, d): the user after each click at the last q places.

        Args:
            clicks: (b, l, d) item vectors in the order of the clicks, l at most L valid ones per row.
            mask: (b, l) whether a place holds a click.
            last: q, from 1 to l; the last block computes no other place.
        """
        length = mask.shape[1]
        place = (mask.long().cumsum(1) - 1).clamp(min=0)
        x = clicks + self.place(place)
        x = self.dropout(self.normalise(x) if self.config.norm == "post" else x)
        causal = torch.ones(length, length, dtype=torch.bool, device=mask.device).tril()
        # A padded place reads itself, because a softmax over nothing is not a number.
        visible = causal & (mask[:, None, :] | torch.eye(length, dtype=torch.bool, device=mask.device))
        for number, block in enumerate(self.blocks, 1):
            x = block(x, visible[:, None, -(last if number == len(self.blocks) else length) :])
        return self.normalise(x) if self.config.norm == "pre" else x

    def description(self) -> dict[str, Any]:
        """Return what `from_description` needs to build the same network."""
        return {"config": asdict(self.config), "widths": self.items.widths, "items": self.num_items}

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> SASRecNetwork:
        """Build the network that `description` returned, with initial weights."""
        return cls(SASRecConfig(**description["config"]), description["widths"], items=description["items"])
