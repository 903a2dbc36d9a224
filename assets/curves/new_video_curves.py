"""Forecast curves of videos that are in no store: of the members of the bank, only the retrieved ones are counted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import polars as pl

from assets.curves.curve_inputs import CurveInputSource, ItemFeedback
from assets.curves.forecast import NAME as MODEL
from assets.curves.forecast import CurveForecaster
from assets.curves.horizon_counts import HorizonCounts
from assets.curves.simulated_curves import simulator_of
from assets.ingest.counters import NAME as COUNTERS
from assets.ingest.interactions import NAME as EVENTS
from assets.prediction.new_rows import NewRows
from assets.protocol.popularity import NAME as POPULARITY
from assets.settings import Settings
from models.curves import Curves
from models.curves.simulated_growth import SimulatedGrowth
from models.predictors import Samples
from storage.store import Store


@dataclass
class NewVideoInputs(CurveInputSource):
    """What the curve model reads of a new video and its neighbours.

    Attributes:
        data_end: End of the store's data, unix ms: until when the neighbours were followed.
        simulator: The fitted process, or None.
    """

    data_end: int = 0
    simulator: SimulatedGrowth | None = None

    @cached_property
    def _members(self) -> HorizonCounts:
        rows, items = self.rows, self.rows.bank.items.tolist()
        events, counters, popularity = (_of_items(rows.store, name, items) for name in (EVENTS, COUNTERS, POPULARITY))
        return self.counts(items, ItemFeedback(events, counters, popularity, self.data_end))


class NewVideoCurves:
    """The curve model in service, for one new video after the other."""

    def __init__(self, store: Store, settings: Settings, rows: NewRows) -> None:
        """Load the model and the process.

        Args:
            store: The store.
            settings: The settings.
            rows: The rows of the first video.

        Raises:
            storage.durable.StoreError: No curve model is in service.
        """
        self._forecaster = CurveForecaster(store, settings, rows=rows)
        self._content = self._forecaster.source.content
        self._simulator = simulator_of(store, settings, rows.targets)

    def curves(self, rows: NewRows, samples: Samples, *, at: int, data_end: int) -> Curves:
        """Return the curves of one new video.

        Args:
            rows: Its rows.
            samples: Its window.
            at: Moment of the forecast, unix ms.
            data_end: End of the store's data, unix ms.
        """
        self._forecaster.source = NewVideoInputs(rows, self._content, data_end=data_end, simulator=self._simulator)
        feedback = ItemFeedback(rows.events, rows.counters, rows.popularity, at)
        return self._forecaster.curves(samples, so_far=True, feedback=feedback)


def has_curve_model(store: Store) -> bool:
    """Return whether a curve model is in service."""
    return store.artifact(MODEL).current() is not None


def _of_items(store: Store, table: str, items: list[str]) -> pl.DataFrame:
    """Return the rows of some items of a table."""
    return pl.scan_parquet(store.table(table).current).filter(pl.col("item").is_in(items)).collect()
