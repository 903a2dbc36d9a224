"""The table of all recommenders by name.

To add a recommender, write a file with its class and add a line here. The class has the interface
`models.recommenders.recommender.Recommender`. The name in this table is a value of the setting `audience.train`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.recommenders.recommender import Recommender

RECOMMENDERS: dict[str, str] = {
    "sasrec": "models.recommenders.sasrec:SASRec",
    "mtin": "models.recommenders.mtin:MTIN",
    "bpr": "models.recommenders.bpr:BPR",
    "lstm": "models.recommenders.lstm:LSTM",
    "cnn": "models.recommenders.cnn:CNN",
    "ncf": "models.recommenders.ncf:NCF",
    "atrank": "models.recommenders.atrank:ATRank",
    "thacil": "models.recommenders.thacil:THACIL",
    "alpine": "models.recommenders.alpine:ALPINE",
}


def recommender_class(name: str) -> type[Recommender]:
    """Return a recommender's class.

    Args:
        name: Name in the table.

    Raises:
        ValueError: The name is unknown; the message lists the known ones.
    """
    if name not in RECOMMENDERS:
        raise ValueError(f"unknown recommender {name!r}; allowed: {', '.join(RECOMMENDERS)}")
    module, attribute = RECOMMENDERS[name].split(":")
    return getattr(import_module(module), attribute)
