"""The commands of `reelcast`, one file per command or family of commands.

A command's file imports only small modules at its top: Dagster, polars and PyTorch are imported in the function that needs
them, because they take from half a second to several seconds.
"""
