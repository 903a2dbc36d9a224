"""What every stage runs on: the per-video increment, the store, the run log, progress, decoding workers."""
