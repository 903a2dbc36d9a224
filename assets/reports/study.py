"""A study: the same graph under several settings, each in a store of its own that is derived from the data set's store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assets.settings import Settings
from storage.store import Store

FOLDER = "studies"  # within the data set's store


@dataclass(frozen=True)
class Arm:
    """One way to run the graph.

    Attributes:
        study: Name of the study.
        name: Name of the arm.
        changes: Section -> field -> value of the settings that differ from the data set's own.
    """

    study: str
    name: str
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def folder(self, store: Path) -> Path:
        """Return the folder of the arm's store.

        Args:
            store: Folder of the data set's store.
        """
        return store / FOLDER / self.study / self.name

    def all_changes(self, store: Path) -> dict[str, dict[str, Any]]:
        """Return every setting that differs, the store's folder included.

        Models are trained again at any change, and a memory bank is switched however far it drifts: otherwise an arm would
        depend on what was run before.

        Args:
            store: Folder of the data set's store.
        """
        own = {
            "store": {"path": str(self.folder(store)), "results": None},
            "model": {"refit_share": 0.0, "serve": "best"},
            "process": {"refit_share": 0.0},
            "bank": {"drift": 1.0},
        }
        sections = own.keys() | self.changes.keys()
        return {section: {**own.get(section, {}), **self.changes.get(section, {})} for section in sections}


def arm_stores(settings: Settings, study: str, *, table: str) -> dict[str, Store]:
    """Return the stores of a study's arms that hold a table, by the name of the arm.

    Args:
        settings: Settings of the data set's own store.
        study: Name of the study.
        table: Name of the table.
    """
    folders = sorted((settings.store_folder() / FOLDER / study).glob("*/store.json"))
    stores = {file.parent.name: Store(file.parent) for file in folders}
    return {name: store for name, store in stores.items() if store.table(table).state() is not None}
