"""The stages that a store holds, by name; a stage is opened when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from storage.payload_schema import stored_payload
from storage.remote.connection import mirror_of
from storage.stage import Stage


class StoredStages(Mapping[str, Stage]):
    """A mapping from names to stages. Opening a stage touches its folder, so one stage costs nothing for the others."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        """List the stages without opening them.

        Args:
            folder: The folder with a folder per stage.
            names: Names of these folders. Those that hold no stage are left out.
        """
        self._folder, self._names = folder, names

    def __getitem__(self, name: str) -> Stage:
        """Return a stage.

        Raises:
            KeyError: The store has no such stage.
        """
        if (payload := self._payload(name)) is None:
            raise KeyError(name)
        return Stage(self._folder / name, payload)

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the stages."""
        return (name for name in self._names if self._payload(name) is not None)

    def __len__(self) -> int:
        """Return the number of stages."""
        return sum(1 for _ in self)

    def _payload(self, name: str) -> pa.Schema | None:
        """Return the columns that a stage computes; None if there is no stage of this name."""
        if name not in self._names:
            return None
        mirror_of(self._folder / name).pull()
        return stored_payload(self._folder / name)
