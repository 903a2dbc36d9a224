"""The data set: its videos and its feedback."""
