"""Assets of the group `feedback`: the Mamba-Hawkes process and each item's temporal embedding."""
