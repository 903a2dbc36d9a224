"""The predictor's samples, put together from the store: features, neighbours, labels and feedback of one split."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
import torch

from assets.feedback import temporal_embeddings
from assets.memory.feature_join import usable_items, video_features
from assets.memory.memory_bank import open_bank
from assets.memory.neighbours import read_neighbours
from assets.protocol.popularity import read_popularity
from assets.protocol.process_inputs import Sequences
from models.predictors import Bank, Feedback, Neighbourhood, Samples
from models.temporal import Completed
from storage.bank import MemoryBank
from storage.store import Store


class OtherBank(RuntimeError):
    """The neighbours are those of another version of the memory bank than the one in service."""


def bank_of(store: Store) -> Bank:
    """The memory bank in service with its members' features."""
    items = open_bank(store).items
    return Bank(items, video_features(store, items.tolist()))


def samples_of(store: Store, split: str, *, size: int) -> Samples:
    """The usable items of a split (train | val | test | predict) with `size` neighbours each, in stored order.

    The target is None for `predict`.

    Raises:
        OtherBank: the memory bank was switched since the neighbours were found.
    """
    items = usable_items(store).filter(pl.col("split") == split)["item"].to_list()
    target = None
    if split != "predict":
        labels = pl.DataFrame({"item": items}, schema={"item": pl.String}).join(
            read_popularity(store).select("item", "target"), on="item", how="left", maintain_order="left"
        )
        target = labels["target"].to_numpy()
    return Samples(
        items=np.array(items, dtype=str),
        features=video_features(store, items),
        neighbourhood=_neighbourhood(store, open_bank(store), items, size),
        target=target,
        feedback=_feedback(store, items),
    )


def _neighbourhood(store: Store, bank: MemoryBank, items: Sequence[str], size: int) -> Neighbourhood:
    position = {item: row for row, item in enumerate(bank.items.tolist())}
    place = {item: row for row, item in enumerate(items)}
    shape = (len(items), size)
    index, mask = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=bool)
    score, label = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
    table = read_neighbours(store)
    found_in = table["bank_version"].unique().to_list()
    if found_in not in ([], [bank.version.version]):
        raise OtherBank(
            f"the neighbours were found in version {', '.join(map(str, found_in))} of the memory bank, and version "
            f"{bank.version.version} is in service: find them again (dagster asset materialize --select 'neighbours+')"
        )
    table = table.filter(pl.col("item").is_in(list(items)) & (pl.col("rank") < size))
    rows = np.array([place[item] for item in table["item"]], dtype=np.int64)
    ranks = table["rank"].to_numpy()
    index[rows, ranks] = [position[item] for item in table["neighbour"]]
    score[rows, ranks] = table["score"].to_numpy()
    label[rows, ranks] = table["label"].to_numpy()
    mask[rows, ranks] = True
    return Neighbourhood(index, score, mask, label)


def _feedback(store: Store, items: Sequence[str]) -> Feedback:
    """Observed and completed sequences as the temporal embeddings were made from them; empty where an item has none."""
    stage = store.stages()[temporal_embeddings.NAME]
    table = stage.read(items=items, columns=["observed", "window_hours", "times", "types"])
    of_item = {row["item"]: row for row in table.to_pylist()}
    silent = {"observed": 0, "window_hours": 0.0, "times": [], "types": []}
    rows = [of_item.get(item, silent) for item in items]
    observed = np.array([row["observed"] for row in rows], dtype=np.int64)
    windows = np.array([row["window_hours"] for row in rows])
    ends = np.array([max([row["window_hours"], *row["times"][-1:]]) for row in rows])
    whole = _sequences(items, rows, ends).batch()
    seen = [{**row, **{name: row[name][: row["observed"]] for name in ("times", "types")}} for row in rows]
    completed = Completed(
        events=whole,
        observed=torch.from_numpy(observed),
        simulated=whole.lengths - torch.from_numpy(observed),
        observed_until=torch.from_numpy(windows),
    )
    return Feedback(observed=_sequences(items, seen, windows).batch(), completed=completed)


def _sequences(items: Sequence[str], rows: Sequence[Mapping[str, list]], ends: np.ndarray) -> Sequences:
    hours = [np.array(row["times"], dtype=np.float64) for row in rows]
    types = [np.array(row["types"], dtype=np.int64) for row in rows]
    return Sequences(list(items), hours, types, ends, dropped=0)
