"""Known labels of logged forecasts: of the protocol's targets, and of their metrics at the horizons of curves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from assets.ingest.counters import read_counters
from assets.ingest.interactions import read_events
from assets.prediction.provenance import data_end, protocol_marks
from assets.protocol.horizon_counts import horizon_counts
from assets.protocol.labels import read_labels
from assets.protocol.popularity import read_popularity
from assets.protocol.target import measured_targets
from assets.settings import Settings
from assets.settings.target import parse_target
from storage.store import Store


def known_labels(store: Store, settings: Settings, log: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, str]]:
    """Return the labels that are known now, and what a forecast must have in common with each.

    Args:
        store: The store.
        settings: Sections `[data]` and `[protocol]` are used.
        log: Logged forecasts: `item`, `target_name`.

    Returns:
        `item`, `target_name`, `label_time` (unix ms), `count`; and target -> `protocol_marks`, the protocol's primary target
        first. A target of the log whose metric is no longer a target has neither.
    """
    events, counters = read_events(store), read_counters(store)
    targets = measured_targets(settings.protocol, events, counters)
    own = {target.name for target in targets}
    labels = [
        read_labels(store).filter("known").select("item", pl.col("target").alias("target_name"), "label_time", "count")
    ]
    later = [parse_target(name) for name in log["target_name"].unique(maintain_order=True) if name not in own]
    hours = np.array(sorted({target.hours for target in later if target.hours is not None}))
    at_horizons = []
    if len(hours):
        items = log["item"].unique(maintain_order=True).to_list()
        counts = horizon_counts(
            events, counters, read_popularity(store), targets, hours, as_of=data_end(store, settings), items=items
        )
        for column, target in enumerate(targets):
            for place, horizon in enumerate(hours):
                at = replace(target, hours=float(horizon))
                at_horizons.append(at)
                known = np.flatnonzero(~np.isnan(counts.count[:, column, place]))
                labels.append(
                    pl.DataFrame(
                        {
                            "item": [items[row] for row in known],
                            "target_name": [at.name] * len(known),
                            "label_time": counts.since[known, column, place].astype(np.int64),
                            "count": counts.count[known, column, place],
                        },
                        schema=labels[0].schema,
                    )
                )
    table = pl.concat(labels).unique(["item", "target_name"], keep="first", maintain_order=True)
    return table, protocol_marks(settings.protocol, [*targets, *at_horizons])
