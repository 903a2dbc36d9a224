"""Forecasts of single videos: `reelcast predict`, and `reelcast.predict` from Python (docs/predict.md)."""
