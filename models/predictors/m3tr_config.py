"""Hyper-parameters of M3TR's network, and the switches of its ablations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from models.predictors.ranges import COUNT, POSITIVE, RATE, SHARE, check_ranges

Aggregate = Literal["attention", "rows", "concat"]
Interaction = Literal["inner", "product"]


@dataclass(frozen=True)
class M3TRConfig:
    """Hyper-parameters of the network. The `use_` switches are those of M3TR's ablations (table 2).

    Attributes:
        width: d, the width of every embedded row.
        hidden: Units of the output perceptron's hidden layer.
        alpha: Balance of positive and negative attention, in [0, 1].
        dropout: Dropout rate, in [0, 1).
        neighbours: S, the number of retrieved videos per video.
        aggregate: "attention" averages the neighbours' vectors, weighted by similarity (M3TR appendix F.2). "rows" averages
            their embedded rows in the same way, before the attention between modalities (MMRA eq. 4). "concat" keeps all S
            separate (M3TR eq. 5), so the first linear layer of the output perceptron grows S-fold.
        temperature: The neighbours' weights are the softmax of similarity / temperature; 1 is as printed. Similarities lie in
            [0, sqrt 2], so that with 1 all weights are nearly equal. "concat" has no weights.
        interaction: "inner" takes inner products of the video's vectors with the retrieved ones (M3TR appendix F.2).
            "product" takes element-wise products, so the first linear layer of the output perceptron grows.
        use_visual: Whether to read frames.
        use_audio: Whether to read sound.
        use_text: Whether to read text.
        use_temporal: Whether to read temporal rows.
        use_retrieval: Whether to read retrieved videos.
        use_labels: Whether to read the retrieved videos' labels.
        use_metadata: Whether to read the table of metadata and counts as a fourth sequence, which the paper does not have.
        use_positive: Whether to use positive attention.
        use_negative: Whether to use negative attention.

    Raises:
        ValueError: A value is outside its range; the message states the range.
    """

    width: int = 64
    hidden: int = 64
    alpha: float = 0.8
    dropout: float = 0.0
    neighbours: int = 10
    aggregate: Aggregate = "attention"
    temperature: float = 1.0
    interaction: Interaction = "inner"
    use_visual: bool = True
    use_audio: bool = True
    use_text: bool = True
    use_temporal: bool = True
    use_retrieval: bool = True
    use_labels: bool = True
    use_metadata: bool = False
    use_positive: bool = True
    use_negative: bool = True

    def __post_init__(self) -> None:
        """Check the values."""
        check_ranges(self, width=COUNT, hidden=COUNT, neighbours=COUNT, temperature=POSITIVE, alpha=SHARE, dropout=RATE)
        for name, kind in (("aggregate", Aggregate), ("interaction", Interaction)):
            if getattr(self, name) not in get_args(kind):
                raise ValueError(f"unknown {name} {getattr(self, name)!r}; allowed: {', '.join(get_args(kind))}")
        if not (self.use_visual or self.use_audio or self.use_text or self.use_temporal):
            raise ValueError(
                "at least one of use_visual, use_audio, use_text, use_temporal must be true, given all false"
            )
