"""Readers of data sets: files on disk become validated data frames, videos, events and counters (docs/datasets.md)."""

from storage.datasets.clock import read_moment
from storage.datasets.dataset import COUNTERS, DETAILS, EVENTS, VIDEOS, Dataset, Note
from storage.datasets.detect_layout import open_dataset
from storage.datasets.errors import DatasetError
from storage.datasets.split_file import read_splits

__all__ = [
    "COUNTERS",
    "DETAILS",
    "EVENTS",
    "VIDEOS",
    "Dataset",
    "DatasetError",
    "Note",
    "open_dataset",
    "read_moment",
    "read_splits",
]
