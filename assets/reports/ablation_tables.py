"""The ablations that papers print, as options of a predictor and settings; titles are the printed names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class AblationRow:
    """One row.

    Attributes:
        title: Name of the row, as printed.
        options: Options of the predictor that differ from the full model.
        changes: Section -> field -> value of the settings that differ. Such a row gets a store of its own.
    """

    title: str
    options: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class AblationTable:
    """One printed table or figure.

    Attributes:
        name: Where the paper prints it.
        rows: The rows without the full model.
        note: What a reader of the table has to know; empty for nothing.
    """

    name: str
    rows: Sequence[AblationRow]
    note: str = ""


CONTENT = {"retrieval": {"similarity": "content"}}
TWENTY = {"retrieval": {"neighbours": 20}}

ABLATIONS: dict[str, Sequence[AblationTable]] = {
    "m3tr": (
        AblationTable(
            "M3TR, table 2",
            (
                AblationRow("M3TR noTemporal", {"use_temporal": False}, CONTENT),
                AblationRow("M3TR noRetrieval", {"use_retrieval": False}),
                AblationRow("M3TR w/o label", {"use_labels": False}),
                AblationRow("M3TR w/o audio", {"use_audio": False}),
                AblationRow("M3TR w/o visual", {"use_visual": False}),
                AblationRow("M3TR w/o text", {"use_text": False}),
            ),
            "noTemporal has no temporal branch and retrieves by content alone. The paper prints its numbers twice, also as "
            "temporal: None.",
        ),
        AblationTable(
            "M3TR, table 2, temporal modules",
            tuple(
                AblationRow(f"M3TR, temporal: {title}", {}, {"process": {"intensity": intensity, "channels": "state"}})
                for title, intensity in (
                    ("Pad&Mask", "padded"),
                    ("Poisson", "poisson"),
                    ("Neural HP", "neural"),
                    ("Mamba HP", "m3tr"),
                )
            ),
            'These rows have the papers\' temporal channels (`process.channels = "state"`). The paper prints Pad&Mask as '
            "worse than no temporal branch, with the numbers of noMHP.",
        ),
    ),
    "mmra": (
        AblationTable(
            "MMRA, table 3",
            (
                AblationRow("MMRA w/o RE", {"use_retrieval": False}),
                AblationRow("MMRA w/o Neg", {"use_negative": False}),
                AblationRow("MMRA w/o Pos", {"use_positive": False}),
                AblationRow("MMRA w/o V", {"use_visual": False}),
                AblationRow("MMRA w/o T", {"use_text": False}),
            ),
            "The printed SRC of w/o T is, to the digit, that of HMMVED in table 2 of the paper: probably a slip.",
        ),
        AblationTable(
            "MMRA, figure 2",
            tuple(AblationRow(f"MMRA k={k}", {"neighbours": k}, TWENTY) for k in (1, 5, 10, 15, 20)),
            "The paper prints no numbers; its best k is 10.",
        ),
    ),
    "mufm": (
        AblationTable(
            "MUFM, table 4",
            (
                AblationRow("MUFM noSAS", {"recommendation_column": ""}),
                AblationRow("MUFM noMamba", {"feedback": "classical"}),
                AblationRow("MUFM noHP", {"feedback": "state"}),
                AblationRow("AUG-MMRA", {"feedback": "none", "recommendation_column": ""}),
            ),
            'Without `audience.train = ["sasrec"]` there is no recommendation score, and the full model is the paper\'s noSAS. '
            "AUG-MMRA reads neither feedback nor score.",
        ),
    ),
    "dsn": (
        AblationTable("DSN, table 3", tuple(AblationRow(f"DSN l={n}", {"length": n}) for n in (1, 4, 16, 32, 64))),
        AblationTable(
            "DSN, table 4",
            (
                AblationRow("DSN, user + image", {"use_text": False, "use_category": False}),
                AblationRow("DSN, user + text", {"use_visual": False, "use_category": False}),
                AblationRow("DSN, user + category", {"use_visual": False, "use_text": False}),
                AblationRow("DSN, user + image + text", {"use_category": False}),
                AblationRow("DSN, user + image + category", {"use_text": False}),
                AblationRow("DSN, user + text + category", {"use_visual": False}),
            ),
        ),
        AblationTable(
            "DSN, table 6",
            (
                AblationRow("DSN, category: First level", {"category": "level", "level": 1}),
                AblationRow("DSN, category: Second level", {"category": "level", "level": 2}),
                AblationRow("DSN, category: Third level", {"category": "level", "level": 3}),
                AblationRow("DSN, category: Concatenation of three levels", {"category": "concatenation"}),
                AblationRow("DSN, category: Summation of three levels", {"category": "sum"}),
            ),
        ),
        AblationTable(
            "DSN, table 7",
            (
                AblationRow("DSN (w/o short-term dependency)", {"use_short_term": False}),
                AblationRow("DSN (w/o long-term dependency)", {"use_long_term": False}),
            ),
        ),
    ),
}
