"""The Mamba-Hawkes process and what it says of each item."""
