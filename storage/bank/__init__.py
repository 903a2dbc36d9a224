"""The memory bank: versions on disk, temporal-aware retrieval over one version, and comparison of two versions."""

from storage.bank.comparison import Comparison, compare, drifts
from storage.bank.memory_bank import MemoryBank
from storage.bank.neighbours import Neighbours
from storage.bank.search_again import search_again
from storage.bank.version import BankVersionError, build, check_versions

__all__ = [
    "BankVersionError",
    "Comparison",
    "MemoryBank",
    "Neighbours",
    "build",
    "check_versions",
    "compare",
    "drifts",
    "search_again",
]
