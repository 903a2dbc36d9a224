"""The table of all predictors by name.

To add a predictor, write a file with its class and add a line here. The class has the interface
`models.predictors.predictor.Predictor`; a network takes most of it from `NeuralPredictor`. The name in this table is a value
of the setting `model.train`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.predictors.predictor import Predictor

CLASSES: dict[str, str] = {
    "m3tr": "models.predictors.m3tr_predictor:M3TRPredictor",
    "mmra": "models.predictors.mmra:MMRAPredictor",
    "cban": "models.predictors.cban:CBANPredictor",
    "clstm": "models.predictors.clstm:CLSTMPredictor",
    "mufm": "models.predictors.mufm:MUFMPredictor",
    "boosting": "models.predictors.boosting:Boosting",
    "boosting_content": "models.predictors.boosting:BoostingWithContent",
    "svr": "models.predictors.svr:SVR",
    "svr_counts": "models.predictors.svr:SVRWithCounts",
    "tmall": "models.predictors.tmall:TMALL",
    "mftm": "models.predictors.mftm:MFTM",
    "hyfea": "models.predictors.hyfea:HyFea",
    "hyfea_counts": "models.predictors.hyfea:HyFeaWithCounts",
    "hmmved": "models.predictors.hmmved:HMMVEDPredictor",
    "massl": "models.predictors.massl:MASSLPredictor",
    "att_mlp": "models.predictors.att_mlp:AttMLPPredictor",
    "mlp": "models.predictors.mlp:MLPPredictor",
    "skapp": "models.predictors.skapp:SKAPPPredictor",
    "dsn": "models.predictors.dsn:DSNPredictor",
    "dtcn": "models.predictors.dtcn:DTCNPredictor",
    "multi_view": "models.predictors.multi_view:MultiViewPredictor",
    "ttc_vlt": "models.predictors.ttc_vlt:TTCVLTPredictor",
}
STACK = "stack"  # the convex combination of all other rows
MEAN, NEIGHBOURS, LINE = "training mean", "mean of neighbours", "log-linear extrapolation"
TRIVIAL = (MEAN, NEIGHBOURS, LINE)  # rows that every table has, where they apply


def row_title(name: str) -> str:
    """Return the name of a row in tables of results.

    Args:
        name: A name in the table, "stack", or the name of a trivial row.
    """
    return predictor_class(name).title if name in CLASSES else name


def predictor_class(name: str) -> type[Predictor]:
    """Return a predictor's class.

    Args:
        name: Name in the table.

    Raises:
        ValueError: The name is unknown; the message lists the known ones.

    Example:
        >>> predictor_class("m3tr").title
        'M3TR'
    """
    if name not in CLASSES:
        raise ValueError(f"unknown predictor {name!r}; allowed: {', '.join(CLASSES)}")
    module, attribute = CLASSES[name].split(":")
    return getattr(import_module(module), attribute)
