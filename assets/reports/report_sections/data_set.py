"""The data set's own page: how much there is, how it is distributed, and what is missing."""

from __future__ import annotations

import numpy as np
import polars as pl

from assets.ingest.counters import read_counters
from assets.ingest.interactions import read_events
from assets.ingest.videos import known_items, visible_title
from assets.protocol.labels import read_labels
from assets.reports.charts import BLUE, as_picture, chart
from assets.reports.document import Grid, Heading, Paragraph, Picture
from assets.reports.page import PageBlock, Pictures
from assets.reports.report_sections.inputs import on_scale, stored_table
from assets.reports.report_sections.suspicious_rows import suspicious_rows
from assets.settings import Settings
from storage.store import Store

BINS = 30


def data_set(store: Store, settings: Settings) -> list[PageBlock]:
    """Return histograms of labels, feedback and durations, what is missing, and suspicious rows."""
    windows = stored_table(store, "popularity", stage="popularity")
    items, labels, events = known_items(store), read_labels(store), read_events(store)
    pictures = [
        _labels(own, target, settings.protocol.target)
        for (target,), own in labels.group_by("target", maintain_order=True)
    ]
    pictures += [_feedback(windows), *_durations(items)]
    missing = _missing(items, windows, labels)
    suspicious = suspicious_rows(items, events, read_counters(store), windows)
    blocks: list[PageBlock] = [
        Pictures(pictures),
        Heading("What is missing", 3),
        Grid(["of the videos", "missing", "share"], missing),
        Heading("Suspicious rows", 3),
    ]
    if not suspicious:
        return [*blocks, Paragraph("None of the checks found a row.")]
    rows = [[one.text, f"{one.count:,}", ", ".join(name[:40] for name in one.examples)] for one in suspicious]
    return [*blocks, Grid(["found", "number", "for example"], rows, texts=frozenset({2}))]


def _labels(own: pl.DataFrame, target: str, scale: str) -> Picture:
    values = own.filter("known")["value"].drop_nulls().drop_nans()
    figure, axes = chart(height=2.8)
    axes.hist(values, bins=BINS, color=BLUE)
    axes.set(xlabel=on_scale(target, scale), ylabel="videos")
    counts = own.filter("known")["count"].drop_nulls().drop_nans()
    middle = f"; median {counts.median():,.0f}, highest {counts.max():,.0f}" if len(counts) else ""
    return as_picture(figure, f"Labels: {len(values):,} of {len(own):,} known{middle}.")


def _feedback(windows: pl.DataFrame) -> Picture:
    counts = windows["observed_events"].drop_nulls()
    figure, axes = chart(height=2.8)
    axes.hist(np.log10(1 + counts.to_numpy()), bins=BINS, color=BLUE)
    ticks = [tick for tick in (0, 1, 10, 100, 1000, 10_000, 100_000) if tick <= 10 * max(counts.max() or 0, 1)]
    axes.set_xticks(np.log10(1 + np.array(ticks)), [f"{tick:,}" for tick in ticks])
    axes.set(xlabel="events in the observation window", ylabel="videos")
    return as_picture(
        figure, f"Lengths of the observed sequences: median {counts.median() or 0:,.0f}, longest {counts.max() or 0:,}."
    )


def _durations(items: pl.DataFrame) -> list[Picture]:
    seconds = items["duration"].drop_nulls().drop_nans()
    if seconds.is_empty():
        return []
    figure, axes = chart(height=2.8)
    axes.hist(seconds, bins=BINS, color=BLUE)
    axes.set(xlabel="duration of the file, s", ylabel="videos")
    return [as_picture(figure, f"Durations: median {seconds.median():.1f} s, longest {seconds.max():.1f} s.")]


def _missing(items: pl.DataFrame, windows: pl.DataFrame, labels: pl.DataFrame) -> list[tuple[str, str, str]]:
    """Return (what, number of videos that lack it, share)."""
    titles = [visible_title(title) for title in items["title"]]
    known = labels.filter("known")["item"].n_unique()
    counts = {
        "file": items["path"].null_count(),
        "sound": items.filter(pl.col("path").is_not_null(), ~pl.col("has_audio"))["item"].len(),
        "title": titles.count(""),
        "author": items["author"].null_count(),
        "category": items["category"].null_count(),
        "time of publication": items["published_at"].null_count(),
        "event in the observation window": windows.filter(pl.col("observed_events") == 0)["item"].len(),
        "complete observation window": windows.filter(~pl.col("window_complete").fill_null(False))["item"].len(),
        "known label of any target": len(items) - known,
    }
    return [(name, f"{count:,}", f"{100 * count / max(len(items), 1):.1f} %") for name, count in counts.items()]
