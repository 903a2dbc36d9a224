"""A data frame in the store that is replaced as a whole, atomically."""

import json
import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from storage.checked_parquet import open_parquet, read_table, write_parquet
from storage.damage import DamageError, logger, reading, set_aside
from storage.durable import StoreError, explain, flush, scratch_name, written_beside
from storage.remote.connection import mirror_of

STATE_KEY = b"reelcast"


@dataclass(frozen=True)
class TableState:
    """What a version of a table was made from.

    Attributes:
        version: Its number, from 1.
        inputs_hash: Hash of what it was made from.
        fingerprint: Hash of everything else that determined it.
        metadata: JSON-able facts from whoever made it.
        rows: Its number of rows.
        written_at: When it was written.
    """

    version: int
    inputs_hash: str
    fingerprint: str
    metadata: dict[str, Any]
    rows: int
    written_at: datetime


class Table:
    """Versions of a data frame, of which the newest is in service. Get a table from `Store.table`.

    The footer of each file records what it was made from, so the rows and this state change in a single rename. A reader
    that has opened the old file can finish reading it. If the version in service is damaged or missing, the newest intact
    older version replaces it until the table is made again.

    Attributes:
        folder: The table's folder in the store.
        name: The folder's name.
        current: The file of the version in service.
    """

    def __init__(self, folder: Path):
        """Refer to the table in `folder`; the folder need not exist yet."""
        self.folder = folder
        self.name = folder.name
        self.current = folder / "current.parquet"
        self._mirror = mirror_of(folder)

    def write(
        self,
        frame: pl.DataFrame | pa.Table,
        *,
        inputs_hash: str,
        fingerprint: str,
        metadata: dict[str, Any] | None = None,
    ) -> TableState:
        """Write a new version and put it in service. The old version is kept until `prune`.

        Args:
            frame: The rows.
            inputs_hash: Hash of what they were made from.
            fingerprint: Hash of everything else that determined them.
            metadata: JSON-able facts to keep with the version.

        Returns:
            The state of the new version.

        Raises:
            StoreError: The disk is full or read-only.
        """
        table = frame.to_arrow() if isinstance(frame, pl.DataFrame) else frame
        return self._mirror.change(lambda: self._write(table, inputs_hash, fingerprint, metadata))

    def _write(
        self, table: pa.Table, inputs_hash: str, fingerprint: str, metadata: dict[str, Any] | None
    ) -> TableState:
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
        path = self.folder / f"{version:06d}-{uuid.uuid4().hex[:12]}.parquet"
        with written_beside(path) as beside:
            write_parquet(beside, table.replace_schema_metadata(own))
        self._put_in_service(path)
        return self.state()

    def _put_in_service(self, version: Path) -> None:
        scratch = scratch_name(self.folder)
        try:
            os.link(version, scratch)
            scratch.replace(self.current)
            flush(self.folder)
        except OSError as error:
            raise explain(error, self.current) from error

    def read(self, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Return the rows of the version in service.

        Args:
            columns: The columns to read, by default all.

        Raises:
            DamageError: The file is damaged. It was set aside, and the next run makes it again.
            StoreError: The table was never written.
        """
        self._mirror.fetch()
        try:
            if columns is None:
                return pl.from_arrow(read_table(self.current))
            held = open_parquet(self.current).schema_arrow
            return pl.from_arrow(read_table(self.current, pa.schema([held.field(name) for name in columns])))
        except FileNotFoundError:
            if self._restore():
                return self.read(columns)
            raise StoreError(
                f"table {self.name} is not in the store yet ({self.current}); materialise it first"
            ) from None
        except DamageError as error:
            self._set_aside(self.current, error)
            raise DamageError(
                self.current, error.problem, "it was set aside, and the next run makes it again: run again"
            ) from error

    def head(self, count: int) -> tuple[int, pl.DataFrame]:
        """Return the number of rows of the version in service, and its first rows; the others are not read.

        Args:
            count: Number of first rows, at least 1.

        Raises:
            FileNotFoundError: The table was never written.
        """
        self._mirror.fetch()
        file = open_parquet(self.current)
        first = next(file.iter_batches(batch_size=count), None)
        part = pa.Table.from_batches([] if first is None else [first], schema=file.schema_arrow)
        return file.metadata.num_rows, pl.from_arrow(part)

    def state(self, *, verify: bool = False) -> TableState | None:
        """Return what the version in service was made from; None if there is none.

        Args:
            verify: Whether to read the whole file too. The asset that makes the table does so, so that damage is repaired
                in the same run.
        """
        self._mirror.fetch()
        try:
            found = state_of(self.current)
            if verify:
                read_table(self.current)
            return found
        except DamageError as error:
            self._set_aside(self.current, error)
        except FileNotFoundError:
            pass
        return state_of(self.current) if self._restore() else None

    def schema(self) -> pa.Schema | None:
        """Return the columns of the version in service; None if there is none."""
        return open_parquet(self.current).schema_arrow if self.state() else None

    def _restore(self) -> bool:
        """Put the newest intact version in service after `current.parquet` was lost; return False if there is none."""
        return bool(self.versions()) and self._mirror.change(self._restored)

    def _restored(self) -> bool:
        self._mirror.fetch()
        if self._mirror.is_remote and self.current.exists():
            return True  # it was downloaded again
        for version, state, _ in self._intact(reversed(self.versions())):
            self._put_in_service(version)
            logger.warning(
                "table %s: %s was missing; version %d of %s is in service until the next run makes the table again",
                *(self.name, self.current, state.version, f"{state.written_at:%Y-%m-%d %H:%M}"),
            )
            return True
        return False

    def history(self) -> Iterator[tuple[TableState, pl.DataFrame]]:
        """Yield every kept version, oldest first, with its rows. Damaged versions are set aside, with a warning."""
        for _, state, table in self._intact(self.versions()):
            yield state, pl.from_arrow(table)

    def _intact(self, versions: Iterable[Path]) -> Iterator[tuple[Path, TableState, pa.Table]]:
        for version in versions:
            try:
                yield version, state_of(version), read_table(version)
            except FileNotFoundError:
                continue  # removed since it was listed
            except DamageError as error:
                self._set_aside(version, error)

    def _set_aside(self, file: Path, error: DamageError) -> None:
        set_aside(file, self.folder, error.problem, "the next run makes the table again")

    def is_current(self, inputs_hash: str, fingerprint: str, *, verify: bool = False) -> bool:
        """Return whether the version in service was made from these inputs and with this fingerprint.

        Args:
            inputs_hash: Hash of the present inputs.
            fingerprint: Hash of everything else that determines the table.
            verify: Whether to read the whole file too; see `state`.
        """
        state = self.state(verify=verify)
        return state is not None and (state.inputs_hash, state.fingerprint) == (inputs_hash, fingerprint)

    def versions(self) -> list[Path]:
        """Return the files of all kept versions, oldest first."""
        self._mirror.fetch()
        return sorted(file for file in self.folder.glob("*.parquet") if file.name[:6].isdigit())

    def prune(self, *, keep: int = 3) -> None:
        """Remove all but the newest `keep` versions. The version in service always stays."""
        self._mirror.change(lambda: self._prune(keep))

    def _prune(self, keep: int) -> None:
        for file in self.versions()[:-keep] if keep else self.versions():
            file.unlink(missing_ok=True)


def state_of(file: Path) -> TableState:
    """Read from the footer of a version's file what the version was made from.

    Raises:
        DamageError: The file is damaged.
        FileNotFoundError: The file does not exist.
    """
    footer = open_parquet(file).metadata
    with reading(file):
        state = json.loads(footer.metadata[STATE_KEY])
        written_at = datetime.fromisoformat(state.pop("written_at"))
        return TableState(**state, rows=footer.num_rows, written_at=written_at)
