"""Hyper-parameters of one predictor: its defaults, the settings that all share, the paper's values, the user's values."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from models.predictors.training_options import WHOLE_PASS, TrainingOptions

Options = TypeVar("Options")
# Settings of `[model]` that every network has, and the fields that they fill.
NETWORK = {"dim": ("width", "hidden"), "dropout": ("dropout",), "neighbours": ("neighbours",)}
TRAINING = {
    **{
        name: (name,)
        for name in (
            *("learning_rate", "batch_size", "weight_decay", "gamma", "patience", "averaging"),
            "precision",
        )
    },
    "max_epochs": ("epochs",),
}
SHARED = (*NETWORK, *TRAINING)


def network_options(
    kind: type[Options],
    settings: Mapping[str, Any],
    *,
    paper: Mapping[str, Any],
    further: Mapping[str, Any],
) -> tuple[Options, TrainingOptions]:
    """Return the hyper-parameters of a network and of its training.

    Later values win: the classes' defaults, the settings that all networks share, `further`, the printed values with
    `model.preset = "paper"`, and `model.options.NAME`.

    Args:
        kind: Dataclass of the network's hyper-parameters.
        settings: Values of `SHARED`, of "preset", and of "options" (those of this predictor).
        paper: Printed values of fields of `kind` and of `TrainingOptions`.
        further: Values of fields that come from other settings.

    Raises:
        ValueError: An option is unknown, or has another type or range; the message lists what is allowed.
    """
    shared = {field: settings[name] for name, held in {**NETWORK, **TRAINING}.items() for field in held}
    known = {*_hints(kind), *_hints(TrainingOptions)}
    values = {name: value for name, value in shared.items() if name in known} | dict(further)
    if settings["preset"] == "paper":
        values |= {"epoch_videos": WHOLE_PASS} | paper
    return build_options(values | settings["options"], kind, TrainingOptions)


def build_options(given: Mapping[str, Any], *kinds: type) -> tuple[Any, ...]:
    """Return one object per dataclass, with the values given and its defaults for the rest.

    Args:
        given: Values by the names of fields. A name that several dataclasses have goes to the first.
        kinds: The dataclasses.

    Raises:
        ValueError: A name is unknown, or a value has another type or range; the message lists what is allowed.
    """
    parts: list[dict[str, Any]] = [{} for _ in kinds]
    for name, value in given.items():
        owner = next((number for number, kind in enumerate(kinds) if name in _hints(kind)), None)
        if owner is None:
            allowed = sorted({field for kind in kinds for field in _hints(kind)})
            raise ValueError(f"{name!r} is unknown; allowed: {', '.join(allowed)}")
        hint = _hints(kinds[owner])[name]
        if not _fits(value, hint):
            raise ValueError(f"{name} must be {_told(hint)}, given {value!r}")
        parts[owner][name] = value
    return tuple(kind(**part) for kind, part in zip(kinds, parts, strict=True))


def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _fits(value: Any, hint: Any) -> bool:
    """Return whether a value that comes from TOML or JSON fits the type of a field."""
    origin = get_origin(hint)
    if origin is Literal:
        return value in get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, part) for part in get_args(hint))
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    return isinstance(value, origin or hint)


def _told(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(repr, get_args(hint)))
    return getattr(hint, "__name__", str(hint))
