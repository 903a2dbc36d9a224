"""Popularity predictors: they read frozen features, retrieved neighbours and, optionally, a point process.

Example:
    Train M3TR on 8 videos and predict the popularity of the same videos, without a memory bank's neighbours.

    >>> import numpy as np
    >>> generator = np.random.default_rng(0)
    >>> def rows(width):  # 2 feature rows per video
    ...     return Rows.pad(list(generator.normal(size=(8, 2, width))), width=width)
    >>> features = VideoFeatures(visual=rows(6), acoustic=rows(5), text=rows(4), temporal=rows(3))
    >>> no_neighbours = np.zeros((8, 1), bool)
    >>> neighbourhood = Neighbourhood(
    ...     index=np.zeros((8, 1), int), score=np.zeros((8, 1)), mask=no_neighbours, label=np.zeros((8, 1, 1))
    ... )
    >>> samples = Samples(np.arange(8), features, neighbourhood, target=np.linspace(0.0, 7.0, 8)[:, None])
    >>> bank = Bank(np.arange(8), features)
    >>> m3tr = M3TRPredictor(options=TrainingOptions(epochs=2))
    >>> report = m3tr.fit(samples, None, bank)
    >>> len(report.epochs), m3tr.predict(samples, bank).shape
    (2, (8, 1))
"""

from models.predictors.earlier_posts import EarlierPosts, PublishedPosts
from models.predictors.features import Neighbourhood, Rows, VideoFeatures, Widths
from models.predictors.feedback import Feedback
from models.predictors.m3tr import M3TR
from models.predictors.m3tr_config import M3TRConfig
from models.predictors.m3tr_predictor import M3TRPredictor
from models.predictors.predictor import Predictor
from models.predictors.samples import Bank, Samples
from models.predictors.table import Table
from models.predictors.training_options import TrainingOptions
from models.predictors.training_report import Epoch, TrainingReport

__all__ = [
    "M3TR",
    "Bank",
    "EarlierPosts",
    "Epoch",
    "Feedback",
    "M3TRConfig",
    "M3TRPredictor",
    "Neighbourhood",
    "Predictor",
    "PublishedPosts",
    "Rows",
    "Samples",
    "Table",
    "TrainingOptions",
    "TrainingReport",
    "VideoFeatures",
    "Widths",
]
