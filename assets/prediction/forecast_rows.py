"""Forecasts of every row of the tables of results, for any windows: the trivial rows and every trained model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, partial

import numpy as np
import polars as pl

from assets.encoding.encoder_choice import device_of
from assets.ingest.counters import read_counters
from assets.ingest.interactions import read_events
from assets.ingest.videos import known_items
from assets.memory.feature_join import usable_items
from assets.prediction.counted import counted_at
from assets.prediction.extrapolation import Extrapolation
from assets.prediction.forecast import Forecast
from assets.prediction.input_digests import FITS, TABLES, input_digests
from assets.prediction.kept_forecasts import KeptForecasts
from assets.prediction.model_obstacles import fitted_models
from assets.prediction.predictor_inputs import bank_of
from assets.prediction.published_posts import posts_are_read, posts_digest
from assets.prediction.row_forecasts import TrivialRows, row_forecasts, row_order
from assets.prediction.stacking import read_weights
from assets.prediction.trained_models import TrainedModel, load_model, model_in_service
from assets.protocol.labels import label_matrix, matrix, read_labels
from assets.protocol.observation import HOUR_MS
from assets.protocol.popularity import read_popularity
from assets.protocol.splits import items_of
from assets.protocol.target import measured_targets
from assets.settings import Settings
from models.baselines import NotApplicable, training_mean
from models.predictors import Bank, Predictor, Samples
from storage.hashing import content_hash
from storage.store import Store


class ForecastRows:
    """Every row's forecasts; what they need is read once."""

    def __init__(self, store: Store, settings: Settings) -> None:
        """Read what the trivial rows need.

        `known` holds the labels (m, T) of the training items, NaN where one is unknown.

        Args:
            store: The store.
            settings: Names the models, the ages and the device.
        """
        self.store, self.settings = store, settings
        self.events, self.counters, self.popularity = read_events(store), read_counters(store), read_popularity(store)
        self.targets = measured_targets(settings.protocol, self.events, self.counters)
        training = pl.DataFrame({"item": items_of(usable_items(store), "train")}, schema={"item": pl.String})
        self.training = training.join(self.popularity, on="item", how="left", maintain_order="left")
        self.known = label_matrix(store, self.training["item"].to_list())
        self._loaded: dict[TrainedModel, Predictor] = {}

    @cached_property
    def ages(self) -> list[float | None]:
        """Ages at which items are scored, in hours, ascending; the last is None for complete windows."""
        longest = self._hours_observed().max()
        return [age for age in self.settings.protocol.ages if longest is not None and age < longest] + [None]

    @cached_property
    def extrapolation(self) -> Extrapolation:
        """The log-linear extrapolation, fitted to the training items that were observed for longer than each age."""
        counts, final = {}, matrix(read_labels(self.store), self.training["item"].to_list(), "count")
        for age in self.ages:
            observed = (
                np.ones(len(final), bool) if age is None else (self._hours_observed() > age).fill_null(False).to_numpy()
            )
            counts[age] = self.counts(self.training["item"].filter(observed).to_list(), age), final[observed]
        protocol = self.settings.protocol
        return Extrapolation.fit(
            counts, whole=protocol.hours if protocol.first_k is None else None, scale=protocol.target
        )

    def counts(self, items: Sequence[str], age: float | None) -> np.ndarray:
        """Return what was counted of each target in each item's window, as it was at an age, (n, T)."""
        return counted_at(
            self.events,
            self.counters,
            self.popularity,
            self.targets,
            self.settings.protocol,
            items=list(items),
            ages=[age] * len(items),
        )

    def forecasts(
        self, samples: Samples, *, floor: np.ndarray | None = None, kept: KeptForecasts | None = None
    ) -> list[Forecast]:
        """Return the forecasts of every row but the stack, the simplest first.

        Args:
            samples: n windows, with their counts.
            floor: (n, T) counts that no forecast lies below. None: the counts in the windows. Two rows are not raised: the
                training mean, and models that see no feedback.
            kept: Forecasts of earlier runs, which are reused; None makes all of them anew.
        """
        values = self._of_models(samples, kept) if len(samples) else ()
        floor = samples.counted if floor is None else floor
        return row_forecasts(samples, floor, self.trivial, values, scale=self.settings.protocol.target)

    def _of_models(
        self, samples: Samples, kept: KeptForecasts | None
    ) -> Iterator[tuple[TrainedModel, Predictor, np.ndarray]]:
        """Yield every trained model with its forecasts, in the order of the rows."""
        digests = kept.digests(samples, self.bank) if kept is not None and self.models else []
        for model in self.models:
            predictor = self.predictor(model)
            if kept is not None and predictor.forecasts_alone:
                values = kept.forecasts(model, self.bank, digests, partial(self._predict, predictor, samples))
            else:
                values = self._predict(predictor, samples)
            yield model, predictor, values

    @cached_property
    def models(self) -> list[TrainedModel]:
        """The models in service, in the order of their rows."""
        return row_order(fitted_models(self.store, self.settings))

    @cached_property
    def weights(self) -> pl.DataFrame:
        """The stack's weights; see `assets.prediction.stacking.SCHEMA`."""
        return read_weights(self.store)

    @cached_property
    def trivial(self) -> TrivialRows:
        """What the trivial rows were fitted to."""
        means = [float(training_mean(values[~np.isnan(values)], 1)[0]) for values in self.known.T]
        return TrivialRows(means, self.extrapolation)

    def why_no_line(self) -> list[NotApplicable]:
        """Return the reasons why complete windows have no log-linear extrapolation, one per target without a line."""
        return [line for line in self.extrapolation.lines[-1] if isinstance(line, NotApplicable)]

    def uncounted(self, items: Sequence[str]) -> dict[str, int]:
        """Return how many of some items lack a count in their window, per target that some of them have a count of."""
        lacking = np.isnan(self.counts(items, None))
        names = [target.name for target in self.targets]
        return {
            name: int(column.sum())
            for name, column in zip(names, lacking.T, strict=True)
            if 0 < column.sum() < len(column)
        }

    def _predict(self, predictor: Predictor, samples: Samples, rows: np.ndarray | None = None) -> np.ndarray:
        part = samples if rows is None else samples.take(rows)
        return predictor.predict(part, self.bank, device=device_of(self.settings))

    @cached_property
    def bank(self) -> Bank:
        """The memory bank in service."""
        return bank_of(self.store, self.settings)

    def predictor(self, model: TrainedModel) -> Predictor:
        """Return a model in service; it is loaded once."""
        if model not in self._loaded:
            self._loaded[model] = load_model(self.store, self.settings, model)
        return self._loaded[model]

    def _hours_observed(self) -> pl.Series:
        return (self.training["observed_until"] - self.training["t0"]) / HOUR_MS


def made_from(store: Store, settings: Settings, *splits: str) -> str:
    """Return a hash of everything that the splits' forecasts, and the columns shown with them, depend on."""
    fitted = fitted_models(store, settings)
    models = [model_in_service(store, model) for model in fitted]
    tables = [state for name in TABLES if (state := store.table(name).state()) is not None]
    fits = [store.artifact(name).current() for name in FITS]
    titles = known_items(store).select("item", "title")
    return content_hash(
        input_digests(store, *splits),
        [
            [version.version, version.inputs_hash, version.fingerprint]
            for version in (*fits, *models)
            if version is not None
        ],
        [[state.inputs_hash, state.fingerprint] for state in tables],
        dict(titles.iter_rows()),
        settings.model.seeds,
        [str(model) for model in fitted],
        *([posts_digest(store)] if posts_are_read(settings) else []),
    )
