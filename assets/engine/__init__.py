"""Machinery that every stage uses: incremental runs, store access, the run log, progress, decoding workers."""
