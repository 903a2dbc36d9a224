"""Runs that are killed, that find the disk full, or whose decoder hangs: `python -m tests.drill --help`."""
