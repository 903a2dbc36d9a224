"""Figure 7 of M3TR from a run: a test video with the videos retrieved by content alone, and with feedback."""

from __future__ import annotations

from collections.abc import Sequence
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
    bank_in_service(store)  # tells what to do before the first run, when no feature exists either
    bank = open_bank(store)
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
    row = _row(items, gain, item)
    note = (
        f"mean absolute error of the mean label of {size} neighbours over {int((~np.isnan(gain)).sum())} test videos: "
        f"{np.nanmean(errors[0]):.2f} by content alone, {np.nanmean(errors[1]):.2f} with feedback; "
        f"this video: {errors[0][row]:.2f} and {errors[1][row]:.2f}"
    )
    if item is None:
        note += f" (gain at the {100 * TYPICAL_GAIN:.0f}th percentile)"
    query = content[row], keys[row]
    shown = [found[way].index[row, :SHOWN][found[way].mask[row, :SHOWN]] for way in (0, 1)]
    videos = _Videos(store, settings, [items[row], *(str(bank.items[place]) for near in shown for place in near)])
    rows = {
        name: [videos.of(str(bank.items[place]), *_similarities(query, bank, int(place))) for place in near]
        for name, near in zip(("content alone", "content and feedback"), shown, strict=True)
    }
    return draw_retrieval(videos.of(items[row]), rows, window=videos.window, label=target_names(store)[0], note=note)


def _errors(index: np.ndarray, mask: np.ndarray, bank: MemoryBank, own: np.ndarray) -> np.ndarray:
    """Return the absolute error of the neighbours' mean label, (n,); NaN where it is unknown."""
    label = np.where(mask, bank.labels[index], np.nan)
    known = ~np.isnan(label)
    mean = np.where(known, label, 0.0).sum(1) / np.where(known.any(1), known.sum(1), np.nan)
    return np.abs(mean - own)


def _row(items: Sequence[str], gain: np.ndarray, item: str | None) -> int:
    if item is not None:
        if item not in items:
            raise NothingToShow(f"item {item!r} is no usable test item")
        return items.index(item)
    known = np.flatnonzero(~np.isnan(gain))
    if not len(known):
        raise NothingToShow("no test item has content, feedback in its window and a known label")
    order = known[np.argsort(gain[known], kind="stable")]
    return int(order[round(TYPICAL_GAIN * (len(order) - 1))])


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
