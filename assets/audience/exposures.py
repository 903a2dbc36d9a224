"""The exposures of users, from the data set's events or from a log, and those that a forecast may rest on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from assets.ingest.interactions import read_events
from assets.ingest.videos import known_items
from assets.protocol.observation import observed
from assets.protocol.popularity import read_popularity
from assets.protocol.splits import items_of, read_splits
from assets.settings import Audience, Protocol, Settings
from storage.datasets import DatasetError
from storage.datasets.dataset import natural_order
from storage.datasets.exposure_log import ExposureLog, open_exposure_log
from storage.store import Store


@dataclass(frozen=True)
class Exposures:
    """Exposures of users to items.

    Attributes:
        frame: `user`, `item`, `time`, `clicked`, `observed` (whether a forecast may rest on it), and `order`, the rank of the
            event within its item (null in a log).
        items: All items, exposed or not, in natural order.
        log: The log that they come from; None for the data set's events.
    """

    frame: pl.DataFrame
    items: list[str]
    log: ExposureLog | None


def read_exposures(store: Store, settings: Settings) -> Exposures:
    """Return all exposures.

    Args:
        store: Store with the tables `interactions`, `popularity` and `splits`.
        settings: Sections `[audience]` and `[protocol]` are used.

    Raises:
        DatasetError: The log cannot be used, no event names its user, or a type of `audience.clicks` or `audience.skips` does
            not occur.
    """
    audience, windows, sides = settings.audience, read_popularity(store), read_splits(store)
    if audience.exposures is not None:
        log = open_exposure_log(audience.exposures)
        least = log.click_from if audience.click_from is None else audience.click_from
        frame = log.frame.with_columns(
            (pl.col("value") >= least).alias("clicked"), pl.lit(None, pl.Int64).alias("order")
        ).drop("value")
        items = log.frame["item"].unique().to_list()
        items += [] if log.features else known_items(store)["item"].to_list()
    else:
        log, frame = None, clicks_and_skips(read_events(store), audience)
        items = known_items(store)["item"].to_list() + frame["item"].unique().to_list()
    allowed = observable(frame, windows, sides, settings.protocol)
    return Exposures(frame.with_columns(allowed), natural_order(items), log)


def clicks_and_skips(events: pl.DataFrame, audience: Audience) -> pl.DataFrame:
    """Return the events that name their user as exposures: `user`, `item`, `time`, `order`, `clicked`.

    Args:
        events: The table `interactions`.
        audience: Section `[audience]` of the settings.

    Raises:
        DatasetError: No event names its user, or a type does not occur.
    """
    types = events["type"].unique().sort().to_list()
    for name in ("clicks", "skips"):
        if unknown := sorted(set(getattr(audience, name)) - set(types)):
            raise DatasetError(
                [f"audience.{name} names {unknown[0]!r}, which no event has; the types are {', '.join(types)}"]
            )
    named = events.drop_nulls("user")
    if named.is_empty():
        raise DatasetError(
            [
                f"audience.train needs users, but none of the {len(events):,} events names its user; set audience.exposures "
                "to a log that does, or audience.train = []"
            ]
        )
    skipped = pl.col("type").is_in(audience.skips)
    clicked = pl.col("type").is_in(audience.clicks) if audience.clicks else ~skipped
    named = named.filter(clicked | skipped).with_columns(clicked.alias("clicked"))
    return named.select("user", "item", "time", "order", "clicked")


def observable(frame: pl.DataFrame, windows: pl.DataFrame, sides: pl.DataFrame, protocol: Protocol) -> pl.Series:
    """Return which exposures a forecast may rest on: `observed`, one per row.

    An exposure counts inside the observation window of a training item. In the chronological split it also counts only before
    the first test item is published, since that is when the first forecast is asked for.

    Args:
        frame: `item`, `time`, `order` (null in a log).
        windows: The table `popularity`.
        sides: The table `splits`.
        protocol: Section `[protocol]` of the settings.
    """
    training = windows.filter(pl.col("item").is_in(items_of(sides, "train")))
    rows = frame.select("item", "time", "order").with_row_index("row")
    if protocol.first_k is not None:
        # Rows of a log have no rank among the item's events, so they count up to the last observed event's time.
        logged = observed(
            rows.filter(pl.col("order").is_null()).with_columns(pl.lit(0).alias("order")), training, protocol
        )
        logged = logged.join(training.select("item", "observed_until"), on="item").filter(
            pl.col("time") <= pl.col("observed_until")
        )
        inside = pl.concat([observed(rows.drop_nulls("order"), training, protocol)["row"], logged["row"]])
    else:
        inside = observed(rows, training, protocol)["row"]
    flags = np.zeros(len(frame), bool)
    flags[inside.to_numpy()] = True
    first = first_test_publication(windows, sides, protocol)
    if first is not None:
        flags &= frame["time"].to_numpy() < first
    return pl.Series("observed", flags)


def first_test_publication(windows: pl.DataFrame, sides: pl.DataFrame, protocol: Protocol) -> int | None:
    """Return when the first test item was published (unix ms) in the chronological split; None in the random one."""
    if protocol.split != "chronological":
        return None
    return windows.filter(pl.col("item").is_in(items_of(sides, "test")))["t0"].min()
