"""The leaks that the audit plants: what each does, the honest run that it is compared with, and the settings of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from assets.reports.protocols import CHRONOLOGICAL, PROTOCOLS, RANDOM
from assets.settings import Settings


@dataclass(frozen=True)
class Fault:
    """A leak.

    Attributes:
        name: Name of its arm.
        told: What it does, as a sentence.
        base: The honest arm that it is compared with, a name of `PROTOCOLS`.
        changes: Section -> field -> value of the settings that plant it.
    """

    name: str
    told: str
    base: str
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def all_changes(self) -> dict[str, dict[str, Any]]:
        """Return the settings of the honest arm with those that plant the fault."""
        honest = PROTOCOLS[self.base]
        return {
            name: {**honest.get(name, {}), **self.changes.get(name, {})} for name in honest.keys() | self.changes.keys()
        }


def faults(settings: Settings) -> list[Fault]:
    """Return the leaks that can be planted into a data set.

    Args:
        settings: Settings of the data set. Without a horizon there is no chronological split, and so none of its faults.
    """
    protocol = settings.protocol
    longer = {"hours": 2 * protocol.hours or 1.0} if protocol.first_k is None else {"first_k": 2 * protocol.first_k}
    timed = protocol.horizon is not None or bool(protocol.targets)
    found = [
        Fault(
            "torn_duplicates_random",
            "Copies of a video lie on both sides of the random split, and a video may retrieve its copy.",
            RANDOM,
            _planted("torn_duplicates"),
        ),
        Fault(
            "validation_in_bank",
            "Validation items are in the memory bank, as in MMRA's published code.",
            RANDOM,
            _planted("validation_in_bank"),
        ),
        Fault(
            "scales_of_all_items",
            "The scales of features and labels are fitted on test items too.",
            RANDOM,
            _planted("scales_of_all_items"),
        ),
        Fault(
            "later_author_statistics",
            "An author's statistics count all other videos of the author, later ones and test items included.",
            RANDOM,
            _planted("later_author_statistics"),
        ),
        Fault(
            "past_the_window",
            "Feedback of twice the observation window is seen, while the table claims the window.",
            RANDOM,
            {"protocol": longer},
        ),
    ]
    if timed:
        found += [
            Fault(
                "random_split",
                "The split is random instead of chronological: training items are published after test items.",
                CHRONOLOGICAL,
                PROTOCOLS[RANDOM],
            ),
            Fault(
                "torn_duplicates_chronological",
                "The chronological split separates copies of a video.",
                CHRONOLOGICAL,
                _planted("torn_duplicates"),
            ),
            Fault(
                "labels_of_the_future",
                "The chronological split trains on labels that were not known when the first test item was published.",
                CHRONOLOGICAL,
                _planted("labels_of_the_future"),
            ),
        ]
    return found


def _planted(name: str) -> dict[str, dict[str, str]]:
    return {"audit": {"fault": name}}
