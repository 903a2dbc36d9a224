"""When something fitted is fitted again: not for every new item, but once enough of what it was fitted on has changed.

A nightly run with twenty new items among twenty thousand would otherwise fit the process again, and with it compute every
temporal embedding again and train every predictor. What is fitted never outlives its protocol: an item it saw that is no
training item any more makes it fit again at once.
"""

from __future__ import annotations

import json
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

FITTED = "fitted.json"  # name -> items that something was fitted on (checked against the training split)
DIGESTS = "digests.json"  # item -> hash of what was read of it, training and validation


class Change(NamedTuple):
    """What happened since a fit: `items` new, gone or changed of `total`; `left`: fitted items that train no more."""

    items: int
    total: int
    left: int

    @property
    def share(self) -> float:
        return self.items / max(self.total, 1)

    def keeps(self, limit: float) -> bool:
        """Whether what was fitted stays in service: nothing changed, or less than `limit` of it."""
        return self.left == 0 and (self.items == 0 or self.share < limit)

    def __str__(self) -> str:
        text = f"{self.items:,} of {self.total:,} training and validation items ({self.share:.1%}) differ since the fit"
        return text + (f", {self.left:,} it was fitted on train no more" if self.left else "")


def keep_facts(folder: Path, fitted: Mapping[str, Sequence[str]], digests: Mapping[str, str]) -> None:
    """Write beside a model what it was fitted on."""
    (folder / FITTED).write_text(json.dumps(fitted), encoding="utf-8")
    (folder / DIGESTS).write_text(json.dumps(digests), encoding="utf-8")


def fitted_on(folder: Path) -> dict[str, list[str]]:
    """What a model's folder says that it was fitted on, by name."""
    return json.loads((folder / FITTED).read_text(encoding="utf-8"))


def changed_since(folder: Path, digests: Mapping[str, str], training: Container[str]) -> Change:
    """Compare a model's folder with the items as they are now.

    digests: item -> hash of what a fit would read of it; training: today's training items.
    """
    path = folder / DIGESTS
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    differ = sum(before.get(item) != digests.get(item) for item in before.keys() | digests.keys())
    seen = {item for name, items in fitted_on(folder).items() if name != "types" for item in items}
    return Change(differ, len(digests), sum(item not in training for item in seen))
