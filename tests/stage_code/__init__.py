"""Which code decides each stage's results, and whether it changed without the stage's code number."""
