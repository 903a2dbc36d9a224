"""A variant: a predictor with options of its own, trained and shown beside the predictor itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.predictor_table import CLASSES, STACK, TRIVIAL, predictor_class

NAME = re.compile(r"[a-z][a-z0-9_]*")
FIELDS = ("predictor", "title", "options")


@dataclass(frozen=True)
class Variant:
    """A predictor with options of its own.

    Attributes:
        predictor: Name of the predictor in `models.predictor_table`.
        title: Name of its row in tables of results.
        options: Hyper-parameters that win over `model.options` of the predictor.
    """

    predictor: str
    title: str
    options: Mapping[str, Any]


def parse_variants(given: Mapping[str, Mapping[str, Any]]) -> dict[str, Variant]:
    """Return the variants that `model.variants` describes, by name.

    Args:
        given: Name -> `predictor`, and optionally `title` (by default the name) and `options`.

    Raises:
        ValueError: A name, a field or an option is not allowed, or two rows have one title; the message names the variant and
            what is allowed.

    Example:
        >>> parse_variants({"m3tr_silent": {"predictor": "m3tr", "options": {"use_audio": False}}})["m3tr_silent"].title
        'm3tr_silent'
    """
    taken = {predictor_class(name).title for name in CLASSES} | {STACK, *TRIVIAL}
    variants = {}
    for name, fields in given.items():
        if not NAME.fullmatch(name) or name in (*CLASSES, STACK):
            raise ValueError(
                f"the variant {name!r} must have a name of lower-case letters, digits and underscores that no predictor has"
            )
        if unknown := set(fields) - set(FIELDS):
            raise ValueError(f"the variant {name} has a field {min(unknown)!r}; allowed: {', '.join(FIELDS)}")
        variant = Variant(str(fields.get("predictor")), str(fields.get("title", name)), dict(fields.get("options", {})))
        if variant.title in taken:
            raise ValueError(f"the variant {name} has the title {variant.title!r}, which another row has")
        taken.add(variant.title)
        try:
            predictor_class(variant.predictor).check_options(variant.options)
        except ValueError as error:
            raise ValueError(f"the variant {name}: {error}") from error
        variants[name] = variant
    return variants
