"""Containers, the chart's values, and a cluster on one machine. Not part of the installed package."""
