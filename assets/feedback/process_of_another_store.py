"""A process that was fitted on another store, in place of one fitted here (MUFM's transfer, appendix 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assets.engine.refit_policy import fitted_on
from models import temporal
from models.temporal import TemporalEncoder
from storage.artifact_version import ArtifactVersion
from storage.durable import StoreError
from storage.file_marks import tree_mark
from storage.store import Store


@dataclass(frozen=True)
class OtherProcess:
    """The process in service in another store.

    Attributes:
        version: Its version there.
        types: Its vocabulary of event types, in the order of its numbers.
        folder: Name of the folder with the encoder, within the version.
    """

    version: ArtifactVersion
    types: list[str]
    folder: str

    def load(self) -> TemporalEncoder:
        """Return a copy of the encoder, whose standardiser is still that of the other store."""
        with self.version.reading() as folder:
            return temporal.load(folder / self.folder)


def open_process(root: str, own_types: Sequence[str], *, name: str, folder: str) -> OtherProcess:
    """Open the process of another store.

    Args:
        root: Folder of the other store.
        own_types: Types of events of this store's training items; events of other types than the process knows are not read.
        name: Name of the artifact.
        folder: Name of the folder with the encoder, within a version.

    Raises:
        StoreError: There is no such store, it has no fitted process, or the two have no type in common.
    """
    path = Path(root).expanduser().absolute()
    version = Store(path).artifact(name).current() if (path / "artifacts" / name).is_dir() else None
    if version is None or not version.metadata["types"]:
        raise StoreError(f"process.from_store: {path} holds no fitted process; give the folder of a store that does")
    with version.reading() as files:
        types = fitted_on(files)["types"]
    if own_types and not set(types) & set(own_types):
        raise StoreError(
            f"process.from_store: the process of {path} knows the types {', '.join(types)}, and the training items' windows "
            f"have {', '.join(own_types)}; at least one type must have the same name"
        )
    return OtherProcess(version, types, folder)


def process_marks(root: str | None, *, name: str) -> list[str]:
    """Return the marks of another store's process, for `reads` of `skip_unchanged`; none if `root` is None."""
    return [] if root is None else [tree_mark(Path(root).expanduser().absolute() / "artifacts" / name)]
