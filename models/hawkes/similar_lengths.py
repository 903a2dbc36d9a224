"""Groups of sequences of similar length, so that a batch with one long sequence is not mostly padding."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

CELLS = 2**16  # most events of a group, including padding
WASTE = 2048  # padding above which a second group costs less


def similar_lengths(lengths: Tensor, *, cells: int = CELLS) -> Iterator[Tensor]:
    """Yield groups of sequences of similar length, longest first.

    Args:
        lengths: (b,) int64, length of each sequence.
        cells: Most events of a group, including padding, unless one sequence alone has more.

    Yields:
        Row numbers of each group, int64. Every row is in one group. Without any row there is one empty group.
    """
    order = lengths.argsort(descending=True, stable=True)
    ordered, begin = lengths[order].tolist(), 0
    if not ordered:
        yield order
    while begin < len(ordered):
        longest, waste, end = max(ordered[begin], 1), 0, begin + 1
        while end < len(ordered) and (end - begin + 1) * longest <= cells:
            waste += longest - ordered[end]
            if waste > WASTE:
                break
            end += 1
        yield order[begin:end]
        begin = end


def rows_in_order(groups: list[Tensor], parts: list[Tensor]) -> Tensor:
    """Join the results of groups in the order of the rows.

    Args:
        groups: The groups that `similar_lengths` yielded; together they are the rows 0 to b - 1.
        parts: Results of each group, one entry per row.

    Returns:
        (b, ...), one entry per row.
    """
    return torch.cat(parts)[torch.cat(groups).argsort()]
