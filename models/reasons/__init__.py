"""Reasons of a forecast: what its parts, its neighbours and its columns contribute, and what moves the process."""

from models.reasons.intensity_terms import IntensityTerms, intensity_terms
from models.reasons.of_predictor import reasons_of
from models.reasons.reasons import Reasons, combine
from models.reasons.sentence import sentence

__all__ = ["IntensityTerms", "Reasons", "combine", "intensity_terms", "reasons_of", "sentence"]
