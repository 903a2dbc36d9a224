"""Predictors that cannot be fitted to the data, with their reasons; they have no row in the tables of results."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg
import polars as pl

from assets.engine.run_log import keep_table
from assets.engine.user_errors import UserError
from assets.prediction.trained_models import TrainedModel, model_fingerprint, trained_models, unfitted
from assets.settings import Settings
from models.predictors import Bank, Samples
from storage.fingerprint import Fingerprint
from storage.hashing import content_hash
from storage.store import Store

NAME = "model_obstacles"
CODE = 1  # raise it when the same inputs give another result
SCHEMA = {"name": pl.String, "title": pl.String, "reason": pl.String, "made_of": pl.String}


class NothingToTrain(UserError):
    """No predictor can be fitted, or the one that is to be served cannot."""


def read_obstacles(store: Store) -> pl.DataFrame:
    """Return the predictors that cannot be fitted: `name` in `model.train`, `title`, `reason`, and a hash of the data."""
    table = store.table(NAME)
    return pl.DataFrame(schema=SCHEMA) if table.state() is None else table.read()


def fitted_models(store: Store, settings: Settings) -> list[TrainedModel]:
    """Return the models that the settings name, without those that cannot be fitted to the data."""
    blocked = set(read_obstacles(store)["name"])
    return [model for model in trained_models(settings) if model.name not in blocked]


def standing_obstacles(store: Store, settings: Settings, *, code: int, inputs_hash: str) -> pl.DataFrame:
    """Return the recorded obstacles that hold for these settings and data, so that nobody has to look again.

    Args:
        store: The store.
        settings: The settings.
        code: Version of the code that trains every model.
        inputs_hash: Hash of the training and validation items.
    """
    known = read_obstacles(store)
    if known.is_empty():
        return known
    first = {model.name: model for model in reversed(trained_models(settings))}
    stand = [
        name in first and made_of == _made_of(store, settings, first[name], code=code, inputs_hash=inputs_hash)
        for name, made_of in known.select("name", "made_of").iter_rows()
    ]
    return known.filter(pl.Series(stand, dtype=pl.Boolean))


def find_obstacles(
    store: Store,
    settings: Settings,
    models: Iterable[TrainedModel],
    train: Samples,
    bank: Bank,
    *,
    code: int,
    inputs_hash: str,
) -> pl.DataFrame:
    """Ask the predictors of some models whether they can be fitted.

    Args:
        store: The store.
        settings: The settings.
        models: The models.
        train: Windows of the training items.
        bank: The memory bank.
        code: Version of the code that trains every model.
        inputs_hash: Hash of the training and validation items.

    Returns:
        One row per predictor that cannot be fitted; see `read_obstacles`.
    """
    rows = []
    for model in {model.name: model for model in reversed(list(models))}.values():
        reason = unfitted(store, settings, model).obstacle(train, bank)
        if reason is not None:
            made_of = _made_of(store, settings, model, code=code, inputs_hash=inputs_hash)
            rows.append({"name": model.name, "title": model.title, "reason": reason, "made_of": made_of})
    return pl.DataFrame(rows, schema=SCHEMA)


def keep_obstacles(
    context: dg.AssetExecutionContext, store: Store, settings: Settings, obstacles: pl.DataFrame
) -> None:
    """Store the obstacles, and log each.

    Raises:
        NothingToTrain: No predictor is left, or the one that `model.serve` names cannot be fitted.
    """
    keep_table(context, store, NAME, obstacles, Fingerprint(code=CODE))
    told = {title: f"{title}: {reason}" for title, reason in obstacles.select("title", "reason").iter_rows()}
    for line in told.values():
        context.log.warning("popularity_model: left out: %s", line)
    if trained_models(settings) and not fitted_models(store, settings):
        raise NothingToTrain(f"no predictor of model.train can be fitted to these data ({'; '.join(told.values())})")
    served = obstacles.filter(pl.col("name") == settings.model.serve)
    if len(served):
        raise NothingToTrain(
            f"model.serve names {settings.model.serve}, which cannot be fitted to these data ({served['reason'][0]}); name "
            "another row, or best"
        )


def _made_of(store: Store, settings: Settings, model: TrainedModel, *, code: int, inputs_hash: str) -> str:
    return content_hash(inputs_hash, model_fingerprint(store, settings, model, code=code).hash)
