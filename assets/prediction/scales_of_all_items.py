"""A planted fault for the audit of leaks: standardisers that are fitted on validation and test items too."""

from __future__ import annotations

import numpy as np
from torch import nn

from assets.memory.feature_join import usable_items, video_features
from assets.protocol.labels import label_matrix
from models.predictors import Samples
from models.predictors.features import MODALITIES
from models.predictors.network import PredictorNetwork
from models.predictors.neural_predictor import NeuralPredictor
from storage.store import Store

LABELLED = ("train", "val", "test")


def scale_by_all_items(predictor: NeuralPredictor, store: Store) -> None:
    """Make a predictor fit its standardisers of features and targets on the items of all splits.

    A network without a standardiser per modality keeps its own scales of features.

    Args:
        predictor: The unfitted predictor; its `build` is replaced.
        store: The store.
    """
    sides = usable_items(store)
    items = sides.filter(sides["split"].is_in(LABELLED))["item"].to_list()
    features, target, build = video_features(store, items), label_matrix(store, items), predictor.build

    def leaky(samples: Samples) -> PredictorNetwork:
        network = build(samples)
        fit_scales = network.fit_scales

        def fit(own: Samples, videos: np.ndarray) -> None:
            fit_scales(own, videos)
            scales = getattr(network, "standardise", None)
            for name in MODALITIES:
                if isinstance(scales, nn.ModuleDict) and name in scales:
                    scales[name].fit_rows(getattr(features, name), name=name)
            network.standardise_target.fit(target)

        network.fit_scales = fit
        return network

    predictor.build = leaky
