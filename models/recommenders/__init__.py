"""Recommenders: which of the items a user watches next, from the user's history."""

from models.recommenders.histories import UserHistories

__all__ = ["UserHistories"]
