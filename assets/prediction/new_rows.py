"""The rows of the tables of results for new videos: what `ForecastRows` reads from the store is given instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from assets.prediction.forecast_rows import ForecastRows
from assets.prediction.new_video_windows import CutWindows
from assets.prediction.service_files import ServiceFiles
from assets.prediction.trained_models import TrainedModel
from assets.settings import Settings
from models.predictors import Bank, Predictor
from storage.store import Store


class NewRows(ForecastRows):
    """Forecasts of windows that no store holds; the store is read for nothing but the models.

    Of the training items' labels, `known` has the means alone, as one row.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        cut: CutWindows,
        files: ServiceFiles,
        bank: Bank,
        *,
        models: Sequence[TrainedModel],
        load: Callable[[TrainedModel], Predictor],
    ) -> None:
        """Take everything.

        Args:
            store: The store of the models.
            settings: The settings.
            cut: The windows with their feedback.
            files: The service files.
            bank: The videos that the windows' neighbours refer to.
            models: The models to forecast with, in the order of their rows.
            load: Returns a model.
        """
        self.store, self.settings = store, settings
        self.events, self.counters, self.popularity = cut.events, cut.counters, cut.frame
        self.targets, self.weights = files.targets, files.weights
        self.trivial, self.extrapolation = files.trivial, files.trivial.extrapolation
        self.known, self.ages = np.array([files.trivial.means]), list(files.trivial.extrapolation.grid)
        self.bank, self.models, self._load = bank, list(models), load

    def predictor(self, model: TrainedModel) -> Predictor:
        """Return a model."""
        return self._load(model)
