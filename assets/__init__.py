"""The graph: one file a stage, thin; each reads, calls `models` or `storage`, writes, and returns metadata."""
