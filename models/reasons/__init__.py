"""Reasons of a forecast: what its parts, its neighbours and its columns contribute, and what moves the process."""
