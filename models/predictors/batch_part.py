"""The part of a minibatch that a process computes: all of it, unless several processes train one network together."""

from __future__ import annotations

from torch import Tensor


class BatchPart:
    """The whole minibatch. `models.predictors.ranks` has the part of one process among several.

    The losses of all parts add up to the loss of the minibatch. So a loss that is a mean divides its sum by the `total` of its
    terms, and a loss that compares the minibatch's windows with each other is computed from `gather` and divided by `parts`.

    Attributes:
        parts: Number of processes that have windows of the minibatch.
    """

    parts: int = 1

    def total(self, count: int | Tensor) -> int | Tensor:
        """Return the sum of a number of terms over the parts.

        Args:
            count: The number in this part, of any shape.
        """
        return count

    def gather(self, vectors: Tensor) -> Tensor:
        """Return the vectors of all parts; the gradient reaches the network of each part.

        Args:
            vectors: (n, d) vectors of this part; n may differ between the parts.
        """
        return vectors


WHOLE = BatchPart()
