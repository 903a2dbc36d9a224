"""The canonical form of ids: one spelling per item, without artefacts of the programs that exported it."""

import re
import unicodedata

import polars as pl

# Texts that programs write for a missing value. Only these spellings count, because a user may be called Nan.
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
# Integers that were converted to floating-point numbers: 7.0, 6.9e+18, 6.90723E18. Not 5e12, which may be hexadecimal.
_THROUGH_A_FLOAT = r"^-?(?:\d+\.0*|\d+(?:\.\d+)?[eE]\+\d+|\d\.\d+[eE]\d+)$"
# Zero-width characters that join others, as in an emoji. Inside an id they are part of its text.
_JOINERS = "\u200c\u200d"


def canonical_id(text: str) -> str:
    """Return an id in canonical form, the form in which ids are compared.

    The form is composed Unicode (NFC) without control, zero-width and direction characters. All blanks are plain spaces,
    and there are none at the ends.

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
    """Return the ids in canonical form (null if empty), and an example id that had more to clean than plain blanks."""
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
    """Return an id without the parts that programs often lose or add: case, leading zeros, `.0`, a file's suffix.

    Example:
        >>> loose_id("007") == loose_id("7.0") == loose_id("7.mp4")
        True
    """
    text = re.sub(r"\.(?:0+|[a-z][a-z0-9]{1,4})$", "", text.casefold())
    return text.lstrip("0") or text
