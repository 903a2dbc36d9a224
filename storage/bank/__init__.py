"""The memory bank: versions on disk, and the exact temporal-aware retrieval over one of them."""

from storage.bank.memory_bank import MemoryBank
from storage.bank.neighbours import Neighbours
from storage.bank.version import BankVersionError, build, check_versions

__all__ = ["BankVersionError", "MemoryBank", "Neighbours", "build", "check_versions"]
