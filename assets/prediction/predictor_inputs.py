"""The predictors' samples of one split, read from the store: features, neighbours, labels, feedback and the table."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import pyarrow as pa
import torch

from assets.engine.user_errors import UserError
from assets.feedback import temporal_embeddings
from assets.feedback.flat_windows import FlatWindows
from assets.ingest.counters import read_counters
from assets.ingest.interactions import read_events
from assets.memory.feature_join import usable_items, video_features
from assets.memory.memory_bank import open_bank
from assets.memory.neighbours import NAME as NEIGHBOURS
from assets.metadata.window_table import window_table
from assets.prediction.counted import counted_at
from assets.prediction.published_posts import earlier_posts, posts_are_read
from assets.protocol.labels import label_matrix, target_names
from assets.protocol.popularity import read_popularity
from assets.protocol.target import measured_targets
from assets.settings import Settings
from models.events import EventBatch
from models.predictors import Bank, Feedback, Neighbourhood, Samples
from models.temporal import Completed
from storage.bank import MemoryBank
from storage.store import Store

COLUMNS = ["observed", "total", "age_hours", "used_hours", "window_hours", "times", "types", "younger"]
NEIGHBOUR_COLUMNS = ("item", "younger", "age_hours", "rank", "neighbour", "labels", "score", "bank_version")
MOST_KEPT = 20_000  # items whose windows stay in memory between two ages
UNSEEN = {"observed": 0, "total": 0, "age_hours": 0.0, "used_hours": 0.0, "window_hours": 0.0, "times": [], "types": []}


class OtherBank(UserError):
    """The neighbours were retrieved from a version of the memory bank that is no longer in service."""


@dataclass(frozen=True)
class Window:
    """One observation window of an item.

    Attributes:
        row: Row of the item.
        younger: Whether the window was cut at a younger age.
        held: Its values, by the name of the stage's column.
    """

    row: int
    younger: bool
    held: Mapping[str, Any]


@dataclass(frozen=True)
class WindowFeedback:
    """Feedback of n windows, unpadded; each minibatch is padded only to its longest sequence."""

    windows: Sequence[Window]

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.windows)

    def take(self, rows: torch.Tensor, *, device: torch.device | str = "cpu") -> Feedback:
        """Return the feedback of the windows at `rows` (b,) on a device."""
        part = [self.windows[row].held for row in rows.tolist()]
        columns = {name: np.array([held[name] for held in part]) for name in ("observed", "total", "age_hours")}
        observed = torch.from_numpy(columns["observed"])
        ends = [max([held["age_hours"], *held["times"][-1:]]) for held in part]
        events = _batch([held["times"] for held in part], [held["types"] for held in part], ends)
        seen = [[held[name][: held["observed"]] for held in part] for name in ("times", "types")]
        completed = Completed(
            events=events,
            observed=observed,
            simulated=events.lengths - observed,
            total=torch.from_numpy(columns["total"]),
            age=torch.from_numpy(columns["age_hours"]),
            window=torch.tensor([held["window_hours"] for held in part], dtype=torch.float64),
        )
        return Feedback(_batch(*seen, [held["used_hours"] for held in part]), completed).to(device)


def _batch(times: Sequence[np.ndarray], types: Sequence[np.ndarray], ends: Sequence[float]) -> EventBatch:
    return EventBatch.from_sequences(times, types, t_end=ends)


@dataclass(frozen=True)
class SamplesByAge:
    """The windows of a split at several ages.

    Attributes:
        samples: All windows.
        rows: Age in hours, or None for whole windows -> the rows of its windows in `samples`.
    """

    samples: Samples
    rows: Mapping[float | None, np.ndarray]

    def at(self, age: float | None) -> Samples:
        """Return the windows of one age, as `samples_of` returns them."""
        rows, windows = self.rows[age], self.samples.feedback.windows
        part = replace(self.samples, feedback=None).take(rows)
        return replace(part, feedback=WindowFeedback([windows[row] for row in rows.tolist()]))

    def each(self) -> Iterator[tuple[float | None, Samples]]:
        """Yield each age with its windows."""
        return ((age, self.at(age)) for age in self.rows)


def bank_of(store: Store, settings: Settings) -> Bank:
    """Return the members of the memory bank in service, with their features, metadata and counts."""
    items = open_bank(store).items
    table = window_table(store, settings, items.tolist(), [None] * len(items))
    return Bank(items, video_features(store, items.tolist()), table)


def samples_of(
    store: Store,
    settings: Settings,
    split: str,
    *,
    age: float | Literal["own", "all"] = "own",
    items: Collection[str] | None = None,
) -> Samples:
    """Return the usable items of a split with their neighbours, in stored order.

    Args:
        store: The store.
        settings: Sections `[protocol]`, `[metadata]`, `[retrieval]` and `[model]` are used.
        split: train, val, test or predict. The target is None for `predict`.
        age: Which windows to return. "own": every item with its own window. A number: every item observed for longer, as it
            was at this age in hours. "all": every item with its own window and with the younger windows that it is trained or
            validated on. The own window has the share `model.whole_share`; the younger windows divide the rest equally.
        items: Items of the split to which the samples are limited; None for all.

    Raises:
        OtherBank: The memory bank was switched after the neighbours were retrieved.
    """
    usable = split_items(store, split)
    if items is not None:
        wanted = set(items)
        usable = [item for item in usable if item in wanted]
    # At these ages, training items are keys for queries; they are not trained on there and have no neighbours.
    compared = set(open_bank(store).version.metadata["ages"]["younger"]) if split == "train" else set()
    windows = [window for window in stored_windows(store, usable) if _is_wanted(window, age, compared)]
    share = _shares(windows, settings.model.whole_share) if age == "all" else None
    return _samples(store, settings, split, usable, windows, share=share)


def samples_by_age(store: Store, settings: Settings, split: str, ages: Sequence[float | None]) -> SamplesByAge:
    """Return the samples of a split at several ages; the store is read once for all of them.

    Args:
        store: The store.
        settings: See `samples_of`.
        split: val, test or predict.
        ages: Ages in hours, in the order of the result; None for whole windows. Ages without windows are left out.

    Raises:
        OtherBank: The memory bank was switched after the neighbours were retrieved.
    """
    items, hours = split_items(store, split), set(ages)
    windows = [
        window for window in stored_windows(store, items) if not window.younger or window.held["age_hours"] in hours
    ]
    rows = {}
    for age in ages:
        wanted = [_is_wanted(window, "own" if age is None else age, set()) for window in windows]
        if any(wanted):
            rows[age] = np.flatnonzero(wanted)
    return SamplesByAge(_samples(store, settings, split, items, windows), rows)


def split_items(store: Store, split: str) -> list[str]:
    """Return the usable items of a split, in stored order."""
    return usable_items(store).filter(pl.col("split") == split)["item"].to_list()


def _samples(
    store: Store,
    settings: Settings,
    split: str,
    items: Sequence[str],
    windows: Sequence[Window],
    *,
    share: np.ndarray | None = None,
) -> Samples:
    ids = [items[window.row] for window in windows]
    popularity = read_popularity(store)
    complete = set(popularity.filter("window_complete")["item"])
    hours = [window.held["age_hours"] for window in windows]
    young = np.array([window.younger or item not in complete for item, window in zip(ids, windows)], dtype=bool)
    ages = [hour if window.younger else None for hour, window in zip(hours, windows)]
    events, counters, protocol = read_events(store), read_counters(store), settings.protocol
    targets = measured_targets(protocol, events, counters)
    return Samples(
        items=np.array(ids, dtype=str),
        features=video_features(store, ids),
        neighbourhood=_neighbourhood(store, items, windows, settings.retrieval.neighbours),
        target=None if split == "predict" else label_matrix(store, ids),
        feedback=WindowFeedback(windows),
        age=np.where(young, hours, np.nan),
        share=share,
        table=window_table(store, settings, ids, ages),
        counted=counted_at(events, counters, popularity, targets, protocol, items=ids, ages=ages),
        scale=protocol.target,
        posts=earlier_posts(store, settings, ids) if posts_are_read(settings) else None,
    )


_last_windows: list[tuple[Path, pl.DataFrame, list[str], list[Window]]] = []  # at most one


def stored_windows(store: Store, items: Sequence[str]) -> list[Window]:
    """Return the windows of `items` from the temporal embeddings: per item the younger ones, then its own.

    A split is scored at several ages, so the last windows are kept and serve again while their rows are the same.
    """
    stage = store.stages()[temporal_embeddings.NAME]
    places = stage.places(items)
    for folder, read, kept_items, windows in _last_windows:
        if folder == stage.folder and kept_items == list(items) and read.equals(places):
            return windows
    windows = windows_of_rows(stage.read_places(places, COLUMNS), items)
    if len(items) <= MOST_KEPT:
        _last_windows[:] = [(stage.folder, places, list(items), windows)]
    return windows


def windows_of_rows(table: pa.Table, items: Sequence[str]) -> list[Window]:
    """Return the windows of `items`: per item the younger ones, then its own.

    Args:
        table: Rows of the temporal embeddings, with `COLUMNS`. An item without a row has an empty window.
        items: Ids of the items.
    """
    flat = FlatWindows.of_rows(table)
    held, rows, planned = flat.held(), flat.row.tolist(), table["window_hours"].to_pylist()
    own = dict(zip(table["item"].to_pylist(), held[: len(table)], strict=True))
    younger: dict[str, list[dict[str, Any]]] = {item: [] for item in own}
    for values, row in zip(held, rows, strict=True):
        values["window_hours"] = planned[row]
    names = list(own)
    for values, row in zip(held[len(table) :], rows[len(table) :], strict=True):
        younger[names[row]].append(values)
    windows = []
    for row, item in enumerate(items):
        windows += [Window(row, True, values) for values in younger.get(item, ())]
        windows.append(Window(row, False, own[item] if item in own else window_arrays(UNSEEN)))
    return windows


def window_arrays(held: Mapping[str, Any]) -> dict[str, Any]:
    """Return the window with its sequence as arrays, which take a fraction of the memory of lists."""
    sequence = {"times": np.array(held["times"], np.float64), "types": np.array(held["types"], np.int64)}
    return {**{name: value for name, value in held.items() if name != "younger"}, **sequence}


def _is_wanted(window: Window, age: float | Literal["own", "all"], compared: set[float]) -> bool:
    if age == "own" or not window.younger:
        return not window.younger and age in ("own", "all")
    return window.held["age_hours"] == age or (age == "all" and window.held["age_hours"] not in compared)


def _shares(windows: Sequence[Window], whole_share: float) -> np.ndarray:
    younger = np.array([window.younger for window in windows])
    rows = np.array([window.row for window in windows])
    count = np.bincount(rows, weights=younger)[rows]  # younger windows of the same item
    return np.where(younger, (1.0 - whole_share) / np.maximum(count, 1), whole_share)


def _neighbourhood(store: Store, items: Sequence[str], windows: Sequence[Window], size: int) -> Neighbourhood:
    bank = open_bank(store)
    shape = (len(windows), size)
    index, mask = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=bool)
    score, label = np.zeros(shape, dtype=np.float32), np.full((*shape, len(target_names(store))), np.nan, np.float32)
    found = store.table(NEIGHBOURS).read(NEIGHBOUR_COLUMNS).filter(pl.col("rank") < size)
    _check_version(found, bank)
    younger = [window.younger for window in windows]
    places = pl.DataFrame(
        {
            "item": [items[window.row] for window in windows],
            "younger": younger,
            # an own window is found whatever its age
            "age": [window.held["age_hours"] if window.younger else -1.0 for window in windows],
        },
        schema={"item": pl.String, "younger": pl.Boolean, "age": pl.Float64},
    ).with_row_index("row")
    members = pl.DataFrame({"neighbour": bank.items}, schema={"neighbour": pl.String}).with_row_index("member")
    age = pl.when("younger").then("age_hours").otherwise(-1.0).alias("age")
    found = (
        found.with_columns(age)
        .join(places, on=["item", "younger", "age"], maintain_order="left")
        .join(members, on="neighbour", how="left", maintain_order="left")
    )
    rows, ranks = found["row"].to_numpy(), found["rank"].to_numpy()
    index[rows, ranks] = found["member"].to_numpy()
    score[rows, ranks] = found["score"].to_numpy()
    label[rows, ranks] = found["labels"].explode(empty_as_null=False).to_numpy().reshape(-1, label.shape[-1])
    mask[rows, ranks] = True
    return Neighbourhood(index, score, mask, label)


def _check_version(table: pl.DataFrame, bank: MemoryBank) -> None:
    versions = table["bank_version"].unique().to_list()
    if versions not in ([], [bank.version.version]):
        raise OtherBank(
            f"the neighbours were retrieved from version {', '.join(map(str, versions))} of the memory bank, but version "
            f"{bank.version.version} is in service; retrieve them again (dagster asset materialize --select 'neighbours+')"
        )
