"""Recommenders: which of the items a user watches next, from the user's history."""

from models.recommenders.histories import UserHistories
from models.recommenders.history_split import HistorySplit, by_share, leave_one_out
from models.recommenders.item_features import ItemFeatures
from models.recommenders.queries import Queries
from models.recommenders.recommender import Recommender, RecommenderEpoch, RecommenderReport

__all__ = [
    "HistorySplit",
    "ItemFeatures",
    "Queries",
    "Recommender",
    "RecommenderEpoch",
    "RecommenderReport",
    "UserHistories",
    "by_share",
    "leave_one_out",
]
