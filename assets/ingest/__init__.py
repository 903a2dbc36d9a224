"""Assets of the group `ingest`: the data set's videos and their feedback."""
