"""When a model is fitted again: once a given share of the items it was fitted on has changed, not for every new item.

Otherwise a nightly run with twenty new items among twenty thousand would fit the process again, and then compute every
temporal embedding and train every predictor again. A model is always fitted again if an item it was fitted on has left the
training split.
"""

from __future__ import annotations

import json
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

FITTED = "fitted.json"  # name -> items that something was fitted on (checked against the training split)
DIGESTS = "digests.json"  # item -> hash of what was read of it, training and validation


class Change(NamedTuple):
    """What changed since a fit.

    Attributes:
        items: Training and validation items that are new, removed or changed.
        total: Training and validation items now.
        left: Items that the model was fitted on and that have left the training split.
    """

    items: int
    total: int
    left: int

    @property
    def share(self) -> float:
        """Share of the items that changed."""
        return self.items / max(self.total, 1)

    def keeps(self, limit: float) -> bool:
        """Whether the model stays in service: no fitted item left training, and no item or a share below `limit` changed."""
        return self.left == 0 and (self.items == 0 or self.share < limit)

    def __str__(self) -> str:
        """Return the change as a sentence for the log."""
        text = f"{self.items:,} of {self.total:,} training and validation items ({self.share:.1%}) differ since the fit"
        return text + (f"; {self.left:,} items it was fitted on have left the training split" if self.left else "")


def keep_facts(folder: Path, fitted: Mapping[str, Sequence[str]], digests: Mapping[str, str]) -> None:
    """Write into a model's folder what it was fitted on.

    Args:
        folder: Folder of the model's version.
        fitted: Name of a part -> items it was fitted on (`types`: the vocabulary of event types).
        digests: Training and validation items -> hash of what was read of each.
    """
    (folder / FITTED).write_text(json.dumps(fitted), encoding="utf-8")
    (folder / DIGESTS).write_text(json.dumps(digests), encoding="utf-8")


def fitted_on(folder: Path) -> dict[str, list[str]]:
    """Return the items that a model was fitted on, by name of its part, from its folder."""
    return json.loads((folder / FITTED).read_text(encoding="utf-8"))


def changed_since(folder: Path, digests: Mapping[str, str], training: Container[str]) -> Change:
    """Compare what a model was fitted on with the items as they are now.

    Args:
        folder: Folder of the model's version.
        digests: Training and validation items -> hash of what a fit would read of each now.
        training: Items of the training split now.
    """
    path = folder / DIGESTS
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    differ = sum(before.get(item) != digests.get(item) for item in before.keys() | digests.keys())
    seen = {item for name, items in fitted_on(folder).items() if name != "types" for item in items}
    return Change(differ, len(digests), sum(item not in training for item in seen))
