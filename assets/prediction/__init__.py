"""The predictor: its inputs, its training, its evaluation, its forecasts."""
