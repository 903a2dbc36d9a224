"""Three nights of a small data set: the tables that earlier stages leave, without running them."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import dagster as dg
import polars as pl
import pytest

from assets.curves.forecast_curves import NAME as CURVES
from assets.engine.store_access import open_store
from assets.monitoring.forecast_log import forecast_log
from assets.monitoring.forecast_scores import forecast_scores
from assets.prediction.predictions import NAME as PREDICTIONS
from assets.prediction.provenance import Provenance, protocol_marks
from assets.protocol.labels import NAME as LABELS
from assets.protocol.target import MeasuredTarget
from assets.settings import Settings
from models import targets
from models.curves import QUANTILES
from storage.datasets import COUNTERS
from storage.store import Store

HOUR = 3_600_000
DAY = 24 * HOUR
TARGET = MeasuredTarget("comment", 168.0, "events")
PUBLISHED = {"a": 0, "b": DAY, "c": 2 * DAY}  # item -> t = 0


class Nights:
    """A store whose data grow by a day per night."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.store: Store = open_store(settings)
        self.events(hours=[1], end=DAY)
        self.write("counters", COUNTERS.to_frame())
        self.write("popularity", pl.DataFrame({"item": list(PUBLISHED), "t0": list(PUBLISHED.values())}))
        self.label({})

    def write(self, name: str, frame: pl.DataFrame, metadata: Mapping[str, object] | None = None) -> None:
        table = self.store.table(name)
        version = table.state().version if table.state() else 0
        table.write(frame, inputs_hash=str(version), fingerprint="f", metadata=dict(metadata or {}))

    def events(self, *, hours: list[int], end: int) -> None:
        """Leave comments on item a at some hours, and a last event of another item at the end of the data."""
        times = [*(hour * HOUR for hour in hours), end]
        items = ["a"] * len(hours) + ["c"]
        columns = {"item": items, "user": "u", "type": "comment", "time": times, "order": range(len(times))}
        self.write("interactions", pl.DataFrame(columns, schema_overrides={"order": pl.Int64}))

    def forecast_curve(self, item: str, medians: Mapping[float, float], *, end: int) -> None:
        """Leave what `forecast_curves` leaves: the medians at some horizons in hours, with quantiles around them."""
        rows = [
            {
                "item": item,
                "target_name": TARGET.name,
                "horizon_hours": horizon,
                **{name: median + place - 3.0 for place, name in enumerate(QUANTILES)},
                "counted_so_far": 1.0,
                "calibrated": True,
                "source": "regression",
                "t0": PUBLISHED[item],
                "window_complete": True,
            }
            for horizon, median in medians.items()
        ]
        at_horizons = [replace(TARGET, hours=horizon) for horizon in medians]
        marks = protocol_marks(self.settings.protocol, [TARGET, *at_horizons])
        self.write(CURVES, pl.DataFrame(rows), Provenance(end, "log2p1", 1, 1, 1, {}, marks).facts())

    def predict(self, forecasts: Mapping[str, float], *, end: int, bank: int = 1, hours: float = 24.0) -> None:
        """Leave what `predictions` leaves.

        Args:
            forecasts: Item -> forecast on the scale.
            end: End of the data, unix ms.
            bank: Version of the memory bank in service.
            hours: The observation window.
        """
        protocol = self.settings.protocol.model_copy(update={"hours": hours})
        made_by = Provenance(
            end, "log2p1", 6, bank, 1, {"popularity_model_m3tr_0": 1}, protocol_marks(protocol, [TARGET])
        )
        values = list(forecasts.values())
        frame = pl.DataFrame(
            {
                "item": list(forecasts),
                "target_name": TARGET.name,
                "t0": [PUBLISHED[item] for item in forecasts],
                "window_complete": [end - PUBLISHED[item] >= DAY for item in forecasts],
                "counted_so_far": [1] * len(values),
                "predicted": values,
                "predicted_count": targets.inverse(values),
                "model": "stack",
                "title": "shown, not logged",
            }
        )
        self.write(PREDICTIONS, frame, made_by.facts())

    def label(self, counts: Mapping[str, float], *, timed: bool = True) -> None:
        """Leave what `popularity` leaves: the labels of some items, the others unknown."""
        known = [item in counts for item in PUBLISHED]
        frame = pl.DataFrame(
            {
                "item": list(PUBLISHED),
                "target": TARGET.name,
                "label_time": [t0 + 7 * DAY if timed else None for t0 in PUBLISHED.values()],
                "count": [counts.get(item) for item in PUBLISHED],
                "known": known,
            },
            schema_overrides={"count": pl.Float64, "label_time": pl.Int64},
        )
        self.write(LABELS, frame)

    def run(self, settings: Settings | None = None) -> dg.ExecuteInProcessResult:
        """Run the two stages as a night does."""
        return dg.materialize([forecast_log, forecast_scores], resources={"settings": settings or self.settings})


@pytest.fixture
def nights(settings_of: Callable[..., Settings]) -> Nights:
    return Nights(settings_of())
