"""The graph: one file a stage, thin; each reads, calls `models` or `storage`, writes, and returns metadata."""

from reelcast_packages import refuse_hidden

refuse_hidden("models", "storage")
