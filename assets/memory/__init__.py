"""The memory bank and the neighbours that are found in it."""
