"""Forecast quantiles of cumulative counts over time: combination of sources, calibration and scores."""

from models.curves.curves import LEVELS, QUANTILES, Curves

__all__ = ["LEVELS", "QUANTILES", "Curves"]
