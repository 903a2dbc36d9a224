"""Forecast curves of videos that are in no store: of the members of the bank, only the retrieved ones are read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assets.curves.curve_inputs import CurveInputSource, ItemFeedback
from assets.curves.forecast import NAME as MODEL
from assets.curves.forecast import CurveForecaster
from assets.curves.simulated_curves import simulator_of
from assets.prediction.new_rows import NewRows
from assets.prediction.service_files import ServiceFiles
from assets.protocol.horizon_counts import HorizonCounts
from assets.settings import Settings
from models.curves import Curves
from models.curves.simulated_growth import SimulatedGrowth
from models.predictors import Samples
from storage.store import Store


@dataclass
class NewVideoInputs(CurveInputSource):
    """What the curve model reads of a new video and its neighbours.

    Attributes:
        members: Counts of the videos of the rows' bank.
        simulator: The fitted process, or None.
    """

    members: HorizonCounts | None = None
    simulator: SimulatedGrowth | None = None


class NewVideoCurves:
    """The curve model in service, for one new video after the other."""

    def __init__(self, store: Store, settings: Settings, files: ServiceFiles, rows: NewRows) -> None:
        """Load the model and the process.

        Args:
            store: The store.
            settings: The settings.
            files: The files in service.
            rows: The rows of the first video.

        Raises:
            storage.durable.StoreError: No curve model is in service.
        """
        self._files = files
        self._forecaster = CurveForecaster(store, settings, rows=rows)
        self._content = self._forecaster.source.content
        self._simulator = simulator_of(store, settings, files.targets, simulated=files.simulated)

    def curves(self, rows: NewRows, samples: Samples, members: np.ndarray, *, at: int) -> Curves:
        """Return the curves of one new video.

        Args:
            rows: Its rows.
            samples: Its window.
            members: (k,) rows of the bank in service that hold the videos of the rows' bank.
            at: Moment of the forecast, unix ms.
        """
        counts = self._files.horizon_counts(members)
        self._forecaster.source = NewVideoInputs(rows, self._content, members=counts, simulator=self._simulator)
        feedback = ItemFeedback(rows.events, rows.counters, rows.popularity, at)
        return self._forecaster.curves(samples, so_far=True, feedback=feedback)


def has_curve_model(store: Store) -> bool:
    """Return whether a curve model is in service."""
    return store.artifact(MODEL).current() is not None
