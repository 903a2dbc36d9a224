"""Popularity predictors over frozen features, retrieved neighbours and the process inside."""

from models.predictors.features import Neighbourhood, Rows, VideoFeatures, Widths
from models.predictors.feedback import Feedback
from models.predictors.m3tr import M3TR, M3TRConfig
from models.predictors.prediction import predict
from models.predictors.samples import Bank, Samples
from models.predictors.saving import load, save
from models.predictors.training import Epoch, TrainingOptions, TrainingReport, train

__all__ = [
    "M3TR",
    "Bank",
    "Epoch",
    "Feedback",
    "M3TRConfig",
    "Neighbourhood",
    "Rows",
    "Samples",
    "TrainingOptions",
    "TrainingReport",
    "VideoFeatures",
    "Widths",
    "load",
    "predict",
    "save",
    "train",
]
