"""A whole frame in the store, replaced in one step."""

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from storage.durable import StoreError, explain, flush_folder, scratch_name, written_beside
from storage.parts import write_parquet

STATE_KEY = b"reelcast"


@dataclass(frozen=True)
class TableState:
    """version: from 1; inputs_hash and fingerprint: what it was made from; metadata: JSON-able, the writer's own."""

    version: int
    inputs_hash: str
    fingerprint: str
    metadata: dict[str, Any]
    rows: int
    written_at: datetime


class Table:
    """Get one from `Store.table`. `current.parquet` is the version in service: a reader that has it open keeps it.

    What a version was made from lies in its own file, so the frame and its state change in one rename.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.name = folder.name
        self.current = folder / "current.parquet"

    def write(
        self,
        frame: pl.DataFrame | pa.Table,
        *,
        inputs_hash: str,
        fingerprint: str,
        metadata: dict[str, Any] | None = None,
    ) -> TableState:
        """Puts the frame in the place of the version before, which is kept beside until `prune`."""
        table = frame.to_arrow() if isinstance(frame, pl.DataFrame) else frame
        before = self.state()
        kept = [int(file.name[:6]) for file in self.versions()]
        version = max([before.version if before else 0, *kept]) + 1
        state = {
            "version": version,
            "inputs_hash": inputs_hash,
            "fingerprint": fingerprint,
            "metadata": metadata or {},
            "written_at": datetime.now(UTC).isoformat(),
        }
        own = {**(table.schema.metadata or {}), STATE_KEY: json.dumps(state).encode()}
        scratch = scratch_name(self.folder)
        path = self.folder / f"{version:06d}-{scratch.name[-12:]}.parquet"
        with written_beside(path) as beside:
            write_parquet(beside, table.replace_schema_metadata(own))
        try:
            os.link(path, scratch)
            scratch.replace(self.current)
            flush_folder(self.folder)
        except OSError as error:
            raise explain(error, self.current) from error
        return self.state()

    def read(self) -> pl.DataFrame:
        """The version in service. Raises StoreError where there is none."""
        try:
            return pl.from_arrow(pq.ParquetFile(self.current).read())
        except FileNotFoundError:
            raise StoreError(
                f"table {self.name} is not in the store yet ({self.current}); materialise it first"
            ) from None

    def state(self) -> TableState | None:
        """What the version in service was made from; None where there is none."""
        try:
            footer = pq.ParquetFile(self.current).metadata
        except FileNotFoundError:
            return None
        state = json.loads(footer.metadata[STATE_KEY])
        written_at = datetime.fromisoformat(state.pop("written_at"))
        return TableState(**state, rows=footer.num_rows, written_at=written_at)

    def is_current(self, inputs_hash: str, fingerprint: str) -> bool:
        """Whether the version in service was made from these."""
        state = self.state()
        return state is not None and (state.inputs_hash, state.fingerprint) == (inputs_hash, fingerprint)

    def versions(self) -> list[Path]:
        """Files of the versions kept, oldest first."""
        return sorted(file for file in self.folder.glob("*.parquet") if file.name[:6].isdigit())

    def prune(self, *, keep: int = 3) -> None:
        """Removes all but the newest `keep` versions; the one in service stays whatever happens."""
        for file in self.versions()[:-keep] if keep else self.versions():
            file.unlink(missing_ok=True)
