"""Figure 7 of M3TR from a run: a test video with the videos retrieved by content alone, and with feedback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from assets.engine.media_tasks import decode_jpeg
from assets.engine.nothing_to_show import NothingToShow
from assets.ingest.interactions import read_events
from assets.ingest.videos import known_items
from assets.memory.feature_join import content_keys, usable_items
from assets.memory.memory_bank import bank_in_service, open_bank
from assets.memory.neighbours import query_times
from assets.memory.temporal_keys import Ages, read_windows
from assets.protocol.labels import matrix, read_labels, target_names
from assets.protocol.observation import HOUR_MS, observed
from assets.protocol.popularity import read_popularity
from assets.sampling.frames import FRAMES
from assets.settings import Settings
from models.retrieval_picture import ShownVideo, draw_retrieval
from storage.bank import MemoryBank
from storage.store import Store

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 5  # neighbours per row
TYPICAL_GAIN = 0.9  # quantile of the gain at which the default video stands
WAYS = ("content alone", "content and feedback")


@dataclass(frozen=True)
class RetrievalExample:
    """A test video with what each way of retrieval finds for it.

    Attributes:
        item: Its id.
        query: The video.
        rows: Way of retrieval, of `WAYS` -> the retrieved videos, most similar first.
        errors: Absolute error of the mean label of the neighbours, in the order of `WAYS`; NaN where it is unknown.
    """

    item: str
    query: ShownVideo
    rows: dict[str, list[ShownVideo]]
    errors: tuple[float, float]


@dataclass(frozen=True)
class RetrievalExamples:
    """Some examples, and the means over all test videos.

    Attributes:
        examples: The examples.
        window: Length of the longest window in hours.
        label: What the counts are, such as "comment@7d".
        neighbours: Neighbours that a mean label rests on.
        compared: Test videos with content, feedback and a known label.
        errors: Their mean absolute errors, in the order of `WAYS`.
    """

    examples: list[RetrievalExample]
    window: float
    label: str
    neighbours: int
    compared: int
    errors: tuple[float, float]

    @property
    def means(self) -> str:
        """A clause that compares the ways of retrieval over all test videos."""
        return (
            f"mean absolute error of the mean label of {self.neighbours} neighbours over {self.compared} test videos: "
            f"{self.errors[0]:.2f} by content alone, {self.errors[1]:.2f} with feedback"
        )


def retrieval_figure(store: Store, settings: Settings, *, item: str | None = None) -> Figure:
    """Draw the figure.

    Args:
        store: A store with a memory bank.
        settings: The settings.
        item: A test item. By default the one at the 90th percentile of what feedback gains: the smaller error of the mean label
            of the neighbours. The line below the figure says so, and what is gained on average over all test items.

    Raises:
        storage.durable.StoreError: No memory bank is in service.
        NothingToShow: The item is no test item, or no test item has content, feedback and a known label.
    """
    found = retrieval_examples(store, settings, item=item)
    example = found.examples[0]
    note = f"{found.means}; this video: {example.errors[0]:.2f} and {example.errors[1]:.2f}"
    if item is None:
        note += f" (gain at the {100 * TYPICAL_GAIN:.0f}th percentile)"
    return draw_retrieval(example.query, example.rows, window=found.window, label=found.label, note=note)


def retrieval_examples(
    store: Store, settings: Settings, *, item: str | None = None, gains: Sequence[float] = (TYPICAL_GAIN,)
) -> RetrievalExamples:
    """Return test videos with what content alone retrieves, and what content and feedback retrieve.

    Args:
        store: A store with a memory bank.
        settings: The settings.
        item: A test item; by default `gains` choose.
        gains: Quantiles, one per example, of what feedback gains in the error of the neighbours' mean label.

    Raises:
        storage.durable.StoreError: No memory bank is in service.
        NothingToShow: The item is no test item, or no test item has content, feedback and a known label.
    """
    bank_in_service(store)  # tells what to do before the first run, when no feature exists either
    bank = open_bank(store, device=settings.bank.device)
    sides = usable_items(store).filter(pl.col("split") == "test")
    items, labels = sides["item"].to_list(), read_labels(store)
    content, has_content = content_keys(store, items)
    windows = read_windows(store, items, form=bank.version.metadata["temporal_key"])
    windows = windows.take(~windows.younger)
    keys = Ages(**bank.version.metadata["ages"]).query_keys(windows)
    size = settings.retrieval.neighbours
    found = [
        bank.search(
            content,
            keys,
            size=max(size, SHOWN),
            query_items=items,
            query_groups=sides["group"].to_numpy(),
            query_times=query_times(store, settings, sides),
            content_mask=has_content,
            temporal_mask=heard,
        )
        for heard in (np.zeros_like(windows.heard), windows.heard)
    ]
    own = matrix(labels, items, "value")[:, 0]
    errors = [_errors(answers.index[:, :size], answers.mask[:, :size], bank, own) for answers in found]
    gain = np.where(has_content & windows.heard, errors[0] - errors[1], np.nan)
    rows = _rows(gain, gains) if item is None else [_row_of(items, item)]
    shown = {row: [answers.index[row, :SHOWN][answers.mask[row, :SHOWN]] for answers in found] for row in rows}
    near = {str(bank.items[place]) for ways in shown.values() for places in ways for place in places}
    videos = _Videos(store, settings, [*(items[row] for row in rows), *sorted(near)])
    examples = []
    for row, ways in shown.items():
        query = content[row], keys[row]
        retrieved = {
            name: [videos.of(str(bank.items[place]), *_similarities(query, bank, int(place))) for place in places]
            for name, places in zip(WAYS, ways, strict=True)
        }
        both = float(errors[0][row]), float(errors[1][row])
        examples.append(RetrievalExample(items[row], videos.of(items[row]), retrieved, both))
    return RetrievalExamples(
        examples,
        window=videos.window,
        label=target_names(store)[0],
        neighbours=size,
        compared=int((~np.isnan(gain)).sum()),
        errors=(float(np.nanmean(errors[0])), float(np.nanmean(errors[1]))),
    )


def _errors(index: np.ndarray, mask: np.ndarray, bank: MemoryBank, own: np.ndarray) -> np.ndarray:
    """Return the absolute error of the neighbours' mean label, (n,); NaN where it is unknown."""
    label = np.where(mask, bank.labels[index], np.nan)
    known = ~np.isnan(label)
    mean = np.where(known, label, 0.0).sum(1) / np.where(known.any(1), known.sum(1), np.nan)
    return np.abs(mean - own)


def _row_of(items: Sequence[str], item: str) -> int:
    if item not in items:
        raise NothingToShow(f"item {item!r} is no usable test item")
    return items.index(item)


def _rows(gain: np.ndarray, quantiles: Sequence[float]) -> list[int]:
    """Return the rows whose gains are nearest to the quantiles, without repetition."""
    known = np.flatnonzero(~np.isnan(gain))
    if not len(known):
        raise NothingToShow("no test item has content, feedback in its window and a known label")
    order = known[np.argsort(gain[known], kind="stable")]
    return list(dict.fromkeys(int(order[round(quantile * (len(order) - 1))]) for quantile in quantiles))


def _similarities(query: tuple[np.ndarray, np.ndarray], bank: MemoryBank, place: int) -> tuple[float, float]:
    return float(query[0] @ bank.content[place]), float(query[1] @ bank.temporal[place])


class _Videos:
    """What the figure shows of some videos."""

    def __init__(self, store: Store, settings: Settings, items: Sequence[str]) -> None:
        items = list(dict.fromkeys(items))
        known = read_popularity(store).filter(pl.col("item").is_in(items))
        clocks = dict(known.select("item", "t0").iter_rows())
        seen = observed(read_events(store).filter(pl.col("item").is_in(items)), known, settings.protocol)
        self.window = float((known["observed_until"] - known["t0"]).max()) / HOUR_MS
        times = {name: part["time"].to_numpy() for (name,), part in seen.group_by("item")}
        self._hours = {item: (times.get(item, np.empty(0)) - clocks[item]) / HOUR_MS for item in items}
        self._titles = dict(known_items(store).select("item", "title").iter_rows())
        counts = matrix(read_labels(store), items, "count")[:, 0].tolist()
        self._counts = dict(zip(items, counts, strict=True))
        table = FRAMES.open(store).read(items=items, columns=["frames"])
        self._frames = dict(zip(table["item"].to_pylist(), table["frames"].to_pylist(), strict=True))

    def of(self, item: str, content: float | None = None, temporal: float | None = None) -> ShownVideo:
        frames, count = self._frames.get(item), self._counts[item]
        return ShownVideo(
            title=self._titles.get(item) or item,
            frame=decode_jpeg(frames[len(frames) // 2]) if frames else None,
            hours=self._hours[item],
            count=None if np.isnan(count) else count,
            content=content,
            temporal=temporal,
        )
