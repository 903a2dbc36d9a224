"""What made a set of forecasts: the versions in service, the protocol, and the end of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import polars as pl

from assets.ingest.counters import read_counters
from assets.ingest.interactions import read_events
from assets.ingest.videos import known_items
from assets.prediction.input_digests import FITS
from assets.prediction.model_obstacles import fitted_models
from assets.prediction.trained_models import model_in_service
from assets.protocol.target import HOUR_MS, MeasuredTarget, end_of_data, measured_targets
from assets.settings import Protocol, Settings
from storage.hashing import content_hash
from storage.store import Store

# Fields of `[protocol]` that decide what is seen, and on which scale it is forecast.
SHARED = {"hours", "first_k", "target"}


@dataclass(frozen=True)
class Provenance:
    """What made a set of forecasts, as JSON-able facts that a table keeps in its metadata.

    Attributes:
        data_end: End of the data that the forecasts saw, unix ms; None if no time is known.
        scale: Scale of the forecasts, `protocol.target`.
        code: Version of the code of the stage that made them.
        bank: Version of the memory bank in service; None if there is none.
        process: Version of the fitted process in service; None if there is none.
        models: Artifact -> version of every model.
        protocols: Target -> hash of the target, its source, the window and the scale (`protocol_marks`), also for the targets'
            metrics at every horizon of the curves.
    """

    data_end: int | None
    scale: str
    code: int
    bank: int | None
    process: int | None
    models: dict[str, int]
    protocols: dict[str, str]

    @classmethod
    def of(cls, store: Store, settings: Settings, *, code: int, models: Mapping[str, int] | None = None) -> Provenance:
        """Read what is in service now.

        Args:
            store: The store.
            settings: Sections `[data]`, `[protocol]`, `[model]` and `[curves]` are used.
            code: Version of the code of the stage that makes the forecasts.
            models: Artifact -> version of the models that make them; None for all predictors in service.
        """
        if models is None:
            models = {
                model.artifact: model_in_service(store, model).version for model in fitted_models(store, settings)
            }
        targets = measured_targets(settings.protocol, read_events(store), read_counters(store))
        at_horizons = [replace(target, hours=hours) for target in targets for hours in settings.curves.hours]
        versions = {name: store.artifact(name).current() for name in FITS}
        numbers = {name: None if version is None else version.version for name, version in versions.items()}
        return cls(
            data_end=data_end(store, settings),
            scale=settings.protocol.target,
            code=code,
            bank=numbers["memory_bank"],
            process=numbers["hawkes_process"],
            models=dict(models),
            protocols=protocol_marks(settings.protocol, [*targets, *at_horizons]),
        )

    def facts(self) -> dict[str, Any]:
        """Return the attributes as a dictionary; `Provenance(**facts)` is the inverse."""
        return asdict(self)


def protocol_marks(protocol: Protocol, targets: Sequence[MeasuredTarget]) -> dict[str, str]:
    """Return a hash per target of all that a forecast and its label must have in common.

    These are the target with its source, the observation window and the scale. The split, the ages and the other targets may
    differ.

    Example:
        >>> from assets.settings import Protocol
        >>> view = MeasuredTarget("view", 168.0, "events")
        >>> marks = [protocol_marks(Protocol(hours=hours), [view])["view@7d"] for hours in (12, 24, 24)]
        >>> [mark == marks[1] for mark in marks]
        [False, True, True]
    """
    fields = protocol.model_dump(include=SHARED)
    return {target.name: content_hash(target.name, target.source, fields)[:16] for target in targets}


def data_end(store: Store, settings: Settings) -> int | None:
    """Return the end of the data, unix ms: `data.as_of`, else the last event or snapshot, else the last publication."""
    end = settings.data.as_of_ms
    if end is None:
        end = end_of_data(read_events(store), read_counters(store))
    return known_items(store)["published_at"].max() if end is None else end


def hours_since(moment: int | None, t0: pl.Expr) -> pl.Expr:
    """Return the age in hours at a moment (unix ms) of items with the publication `t0`; null if either is unknown."""
    return (pl.lit(moment, pl.Int64) - t0) / HOUR_MS
