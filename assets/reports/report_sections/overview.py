"""What the report is about: data set, dates, protocol, and what is in service."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from assets.ingest.counters import read_counters
from assets.ingest.interactions import read_events
from assets.ingest.videos import known_items
from assets.protocol.labels import target_names
from assets.protocol.target import end_of_data
from assets.reports.document import Grid
from assets.reports.page import PageBlock
from assets.reports.report_sections.inputs import moment, stored_table
from assets.reports.report_sections.provenance import commit
from assets.settings import Settings
from storage.store import Store

SIDES = {"train": "training", "val": "validation", "test": "test", "gap": "in the gap", "predict": "without a label"}


def overview(store: Store, settings: Settings) -> list[PageBlock]:
    """Return the facts that a reader needs before any number."""
    windows = stored_table(store, "popularity", stage="popularity")
    splits = stored_table(store, "splits", stage="splits")
    items, events, protocol = known_items(store), read_events(store), settings.protocol
    counts = dict(splits.group_by("split").len().iter_rows())
    counts["predict"] = counts.get("predict", 0) or len(windows) - sum(counts.values())
    window = f"first {protocol.hours:g} hours" if protocol.first_k is None else f"first {protocol.first_k} events"
    counters = read_counters(store)
    by_type = events.group_by("type").len().sort("len", descending=True)
    metrics = counters["metric"].unique().sort().to_list()
    version = f"version {metadata.version('reelcast')}, commit {commit() or 'unknown'}"
    rows = [
        ("reelcast", version),
        ("last run", _last_run(store)),
        ("data set", settings.data_folder().name),
        ("videos", f"{len(items):,}, of which {len(items) - items['path'].null_count():,} have a file"),
        ("published", f"{moment(windows['t0'].min())} to {moment(windows['t0'].max())}"),
        ("events", ", ".join(f"{count:,} {name}" for name, count in by_type.iter_rows()) or "none"),
        ("counters", f"{len(counters):,} values of {', '.join(metrics)}" if metrics else "none"),
        ("end of the data", moment(settings.data.as_of_ms or end_of_data(events, counters))),
        ("observed", f"the {window} of feedback"),
        ("forecast", ", ".join(target_names(store)) + f" (scale {protocol.target})"),
        (
            "split",
            f"{Path(splits['protocol'][0]).name}: "
            + ", ".join(f"{counts[s]:,} {t}" for s, t in SIDES.items() if counts.get(s)),
        ),
        ("encoders", settings.encoders.profile),
    ]
    for name, artifact in (("memory bank", "memory_bank"), ("process", "hawkes_process")):
        version = store.artifact(artifact).current()
        rows.append((name, "none" if version is None else f"version {version.version}"))
    return [Grid(["fact", "value"], rows, texts=frozenset({1}))]


def _last_run(store: Store) -> str:
    runs = store.log("runs").read()
    return f"{runs['finished_at'].max():%Y-%m-%d %H:%M} UTC" if len(runs) else "unknown"
