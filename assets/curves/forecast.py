"""Forecast curves of any windows by the curve model in service."""

from __future__ import annotations

import hashlib

import numpy as np

from assets.curves.curve_inputs import CurveInputSource, ItemFeedback
from assets.engine.kept_rows import KeptRows
from assets.prediction.forecast_rows import ForecastRows
from assets.prediction.kept_forecasts import row_bytes
from assets.settings import Settings
from models.curves import LEVELS, Curves
from models.curves.curve_inputs import CurveInputs
from models.curves.curve_model import CurveModel
from models.predictors import Samples
from models.predictors.content_components import ContentComponents
from storage.durable import StoreError
from storage.hashing import content_hash
from storage.store import Store

NAME = "curve_model"
CONTENT = "content.npz"


class CurveForecaster:
    """The curve model in service; what it needs is read once."""

    def __init__(self, store: Store, settings: Settings, *, rows: ForecastRows | None = None) -> None:
        """Load the model.

        Args:
            store: The store.
            settings: The settings.
            rows: The store's feedback and counters, if they were read before.

        Raises:
            storage.durable.StoreError: No curve model is in service.
        """
        version = store.artifact(NAME).current()
        if version is None:
            raise StoreError(f"no curve model is in service; fit one (dagster asset materialize --select '{NAME}+')")
        self._fit = [version.inputs_hash, version.fingerprint]
        with version.reading() as folder:
            self.model = CurveModel.load(folder)
            content = ContentComponents.load(folder / CONTENT)
        self.source = CurveInputSource(ForecastRows(store, settings) if rows is None else rows, content)

    def curves(self, samples: Samples, *, so_far: bool = False, feedback: ItemFeedback | None = None) -> Curves:
        """Return the curves of n windows.

        Args:
            samples: The windows, with their feedback, neighbours and table.
            so_far: Whether feedback after the windows, until the items were last seen, moves the curves. True for items
                without a label; False in an evaluation, where a forecast may see the window alone.
            feedback: Feedback of the windows' items, if they are not in the store, or there with other feedback.

        Returns:
            Quantiles by target, horizon and level. A whole count is the whole part of a quantile (docs/curves.md). At horizons
            that have passed, all quantiles are the count itself. NaN where neither the model nor the process reaches.
        """
        return self.model.predict(self.source.inputs(samples, so_far=so_far, feedback=feedback))

    def kept_curves(self, inputs: CurveInputs, kept: KeptRows) -> Curves:
        """Return the curves of n windows; those that were made of the same inputs by an earlier run are reused.

        The last bit of a curve can depend on the windows that it is computed with.

        Args:
            inputs: The windows.
            kept: Curves of earlier runs.
        """
        horizons, levels = self.model.horizons, np.array(LEVELS)
        shape = (len(self.source.rows.targets), len(horizons), len(levels))

        def compute(rows: np.ndarray | None) -> np.ndarray:
            part = inputs if rows is None else inputs.take(rows)
            return self.model.predict(part).counts.reshape(len(part), -1)

        key = content_hash(self._fit, list(inputs.table.numeric_names), list(inputs.table.categorical_names))
        return Curves(horizons, levels, kept.rows(key, curve_digests(inputs), compute).reshape(-1, *shape))


def curve_digests(inputs: CurveInputs) -> list[str]:
    """Return a hash per window of all that the curve model reads of it."""
    names = ("age", "weights", "counted", "so_far", "known", "neighbours", "simulated")
    numbers = np.column_stack([getattr(inputs, name).reshape(len(inputs), -1) for name in names])
    rows = zip(inputs.items.tolist(), numbers, row_bytes(inputs.table, len(inputs)), strict=True)
    return [hashlib.sha256(b"%b\0%b%b" % (item.encode(), own.tobytes(), row)).hexdigest() for item, own, row in rows]
