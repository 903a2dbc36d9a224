"""Pure PyTorch and NumPy: media, encoders, the Hawkes process, the predictors and their metrics.

Nothing here knows Dagster or the layout of the store, so every part can be imported and used by itself.
"""
