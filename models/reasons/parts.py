"""The parts of a video's inputs that reasons are given for, and how a sentence names them."""

from __future__ import annotations

import re

from models.predictors.column_groups import group_of

FEEDBACK, NEIGHBOURS, COUNTED = "feedback", "neighbours", "counted"
MODALITIES = {"frames": "visual", "sound": "acoustic", "words": "text"}  # part -> modality of the features
GROUPS = {"counts": FEEDBACK, "user": "author"}  # groups of columns that have another name as a part
NAMES = {
    FEEDBACK: "its first hours",
    NEIGHBOURS: "similar videos",
    "frames": "its frames",
    "sound": "its sound",
    "words": "its title",
    "author": "its author",
    "category": "its category",
    "time": "its time of publication",
    "tags": "its hashtags",
    "other": "its other metadata",
    COUNTED: "the count so far",
}
CONTENT = re.compile(r"(visual|acoustic|text) \d+")  # the columns of `ContentComponents`


def part_of(column: str) -> str:
    """Return the part that a column of a table belongs to; a principal component of the content belongs to its modality.

    Example:
        >>> part_of("events_log2 like"), part_of("history_items"), part_of("acoustic 3")
        ('feedback', 'author', 'sound')
    """
    if content := CONTENT.fullmatch(column):
        return next(part for part, modality in MODALITIES.items() if modality == content[1])
    group = group_of(column)
    return GROUPS.get(group, group)
