"""Forecasts of every seed's model for a split, as `evaluation` and `predictions` need them."""

from __future__ import annotations

import numpy as np

from assets.encoding.encoder_choice import device_of
from assets.ingest.videos import known_items
from assets.memory import neighbours
from assets.memory.feature_join import sample_digests
from assets.memory.memory_bank import bank_in_service
from assets.prediction.popularity_model import load_model, model_in_service
from assets.prediction.predictor_inputs import bank_of
from assets.protocol import popularity
from assets.settings import Settings
from models.predictors import Samples, predict
from storage.hashing import content_hash
from storage.store import Store


def forecasts(store: Store, settings: Settings, samples: Samples) -> np.ndarray:
    """Return each seed's forecasts.

    Args:
        store: The store.
        settings: Names the seeds and the device.
        samples: The items to predict.

    Returns:
        (seeds, items) float64 on the target's scale, seeds in the order of `model.seeds`.
    """
    predicted = np.zeros((len(settings.model.seeds), len(samples)))
    if len(samples):
        bank = bank_of(store)
        for row, seed in enumerate(settings.model.seeds):
            predicted[row] = predict(load_model(store, seed), samples, bank, device=device_of(settings))
    return predicted


def made_from(store: Store, settings: Settings, split: str) -> str:
    """Return a hash of everything that a split's forecasts, and the columns shown with them, depend on."""
    bank = bank_in_service(store)
    models = [model_in_service(store, seed) for seed in settings.model.seeds]
    tables = [store.table(name).state() for name in (popularity.NAME, neighbours.NAME)]
    titles = known_items(store).select("item", "title")
    return content_hash(
        sample_digests(store, split),
        [[version.version, version.inputs_hash, version.fingerprint] for version in (bank, *models)],
        [[state.inputs_hash, state.fingerprint] for state in tables],
        dict(titles.iter_rows()),
        settings.model.seeds,
    )
