"""Hyper-parameters that a search found best on the validation items, kept per predictor for `model.preset = "tuned"`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import dagster as dg

from assets.engine.user_errors import UserError
from assets.settings import Settings
from models.predictor_table import CLASSES, predictor_class
from storage.artifact import Artifact
from storage.store import Store

NAME = "tuned"
PRESET = "tuned"


class NothingTuned(UserError, ValueError):
    """`model.preset` is "tuned", but no search has been made for a predictor of `model.train`."""


def tuned_artifact(store: Store, predictor: str) -> Artifact:
    """Return the artifact that holds a predictor's best hyper-parameters, in its metadata."""
    return store.artifact(f"{NAME}_{predictor}")


def keep_tuned(
    store: Store, predictor: str, options: Mapping[str, Any], *, inputs_hash: str, facts: Mapping[str, Any]
) -> None:
    """Put a predictor's best hyper-parameters in service.

    Args:
        store: The store.
        predictor: Name of the predictor.
        options: Its options as `model.options` takes them.
        inputs_hash: Hash of what the search was made on.
        facts: JSON-able facts about the search, kept beside the options.
    """
    artifact, kept = tuned_artifact(store, predictor), dict(options)
    service = artifact.current()
    if service is not None and service.metadata["options"] == kept and service.inputs_hash == inputs_hash:
        return
    with artifact.new(inputs_hash=inputs_hash, fingerprint=NAME, metadata={"options": kept, **facts}):
        pass


def tuned_options(store: Store, settings: Settings, predictor: str) -> dict[str, Any]:
    """Return a predictor's best hyper-parameters; none without a search, or if `model.preset` is not "tuned"."""
    service = tuned_artifact(store, predictor).current() if settings.model.preset == PRESET else None
    return {} if service is None else service.metadata["options"]


def tuned_names(settings: Settings) -> list[str]:
    """Return the names of the artifacts that the models' settings come from."""
    return [f"{NAME}_{name}" for name in CLASSES] if settings.model.preset == PRESET else []


def note_tuned(
    context: dg.AssetExecutionContext, store: Store, settings: Settings, predictors: Collection[str]
) -> None:
    """Log which predictors have no search and so keep their defaults.

    Args:
        context: The asset's context.
        store: The store.
        settings: The settings; nothing is logged unless `model.preset` is "tuned".
        predictors: Names of the predictors to train.

    Raises:
        NothingTuned: None of them has a search.
    """
    if settings.model.preset != PRESET:
        return
    untuned = [name for name in predictors if tuned_artifact(store, name).current() is None]
    if len(untuned) == len(predictors):
        raise NothingTuned(
            f'model.preset is "tuned", but no search was made for {", ".join(predictors)}; make one '
            f'(reelcast search --models {",".join(predictors)}), or set model.preset = "default"'
        )
    for name in untuned:
        context.log.warning("popularity_model: %s was not searched; its defaults are used", predictor_class(name).title)
