"""A stage's vectors of some items, memory-mapped."""

from collections.abc import Sequence

from models.predictors.features import PackedRows
from storage.pack import open_pack
from storage.stage import Stage
from storage.store import Store


def packed_rows(store: Store, stage: Stage, items: Sequence[str]) -> PackedRows:
    """Return a stage's rows of `items` in order, memory-mapped; an item without an ok row has none.

    Args:
        store: The store.
        stage: A stage with a column `embedding`.
        items: Ids of the items.
    """
    pack = open_pack(store, stage)
    starts, lengths = pack.find(items)
    return PackedRows(pack.values, starts, lengths, longest=pack.longest, keep=pack)
