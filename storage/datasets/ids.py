"""Ids as people mean them: one spelling per item, whatever the programs between left in it."""

import re
import unicodedata

import polars as pl

# What programs write for a missing value. Only these spellings: a user may be called Nan.
MISSING_WORDS = [
    "nan",
    "NaN",
    "NAN",
    "None",
    "none",
    "NONE",
    "null",
    "Null",
    "NULL",
    "NA",
    "N/A",
    "n/a",
    "<NA>",
    "NaT",
    "#N/A",
]
# An integer that was a floating-point number on the way: 7.0, 6.9e+18, 6.90723E18. Not 5e12, which may be hexadecimal.
_THROUGH_A_FLOAT = r"^-?(?:\d+\.0*|\d+(?:\.\d+)?[eE]\+\d+|\d\.\d+[eE]\d+)$"
# They join characters, as those of an emoji, and belong to the text between them.
_JOINERS = "\u200c\u200d"


def canonical_id(text: str) -> str:
    """Return an id in the one form that is compared.

    Composed Unicode (NFC); no control, zero-width or direction characters; any blank is a plain one, none at the ends.

    Example:
        >>> canonical_id("\u200bcafe\u0301\u00a0")
        'café'
    """
    if text.isascii() and text.isprintable():
        return text.strip()
    text = unicodedata.normalize("NFC", text)
    kept = []
    for character in text:
        category = unicodedata.category(character)
        if category in ("Zs", "Zl", "Zp") or character in "\t\n\r":
            kept.append(" ")
        elif category not in ("Cc", "Cf") or character in _JOINERS:
            kept.append(character)
    return "".join(kept).strip(" " + _JOINERS)


def canonical_ids(ids: pl.Series) -> tuple[pl.Series, str | None]:
    """Return the ids in canonical form, empty ones null, and the first that had more than plain blanks to clean."""
    ids = ids.str.strip_chars(" \t\r\n")
    odd = ids.str.contains(r"[^\x20-\x7e]").fill_null(False)
    example = None
    if odd.any():
        distinct = ids.filter(odd).unique(maintain_order=True)
        canonical = [canonical_id(text) for text in distinct]
        ids = ids.replace(distinct, pl.Series(canonical, dtype=pl.String))
        example = next((text for text, clean in zip(distinct, canonical) if text != clean), None)
    return pl.select(pl.when(ids != "").then(ids).alias(ids.name)).to_series(), example


def missing_words(texts: pl.Series) -> pl.Series:
    """Return whether each text stands for a missing value, such as `nan`; False for null."""
    return texts.is_in(MISSING_WORDS).fill_null(False)


def float_ids(ids: pl.Series) -> pl.Series:
    """Return whether each id went through a floating-point number, such as `7.0` or `6.9e+18`; False for null."""
    return ids.str.contains(_THROUGH_A_FLOAT).fill_null(False)


def loose_id(text: str) -> str:
    """Return an id without what programs lose or add: case, leading zeros, `.0`, the suffix of a file."""
    text = re.sub(r"\.(?:0+|[a-z][a-z0-9]{1,4})$", "", text.casefold())
    return text.lstrip("0") or text
