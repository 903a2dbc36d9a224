"""Assets of the group `ingest`: the data set's videos, their feedback and their counters."""
