"""Assets of the group `memory`: the memory bank and the neighbours retrieved from it."""
