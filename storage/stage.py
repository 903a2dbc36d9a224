"""A stage of the pipeline in the store: one row a video, computed in increments."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa

from storage.compaction import compact
from storage.damage import DamageError, logger, reading
from storage.durable import write_text, written_beside
from storage.fingerprint import Fingerprint
from storage.parts import Parts
from storage.payload_schema import PAYLOAD_FILE, read_payload_schema
from storage.plan import Plan, make_plan
from storage.rows import DROPPED, STATE, Row, check_distinct, payload_columns

RETENTION = 24 * 3600.0


class Stage:
    """Get one from `Store.stage`. payload: the columns that the stage computes, with other names than the state's."""

    def __init__(self, folder: Path, payload: pa.Schema):
        taken = set(payload.names) & set(STATE.names)
        if taken:
            raise ValueError(f"stage {folder.name}: payload columns {sorted(taken)} are state columns; rename them")
        self.folder = folder
        self.name = folder.name
        self.payload = payload
        self._parts = Parts(folder, payload)
        self._parts.seed()
        schema = payload.serialize().to_pybytes()
        if not self.schema_file.exists() or self.schema_file.read_bytes() != schema:
            try:
                read_payload_schema(self.schema_file)
            except FileNotFoundError:
                pass
            except DamageError as error:
                logger.warning("%s: it is written again", error)
            with written_beside(self.schema_file) as scratch:
                scratch.write_bytes(schema)

    @property
    def schema_file(self) -> Path:
        """The payload's schema, for the catalog, which knows no stage by itself."""
        return self.folder / PAYLOAD_FILE

    def plan(self, inputs: Mapping[str, str], fingerprint: str | Fingerprint, *, retry_failed: bool = False) -> Plan:
        """What there is to compute, and why; computes and changes nothing.

        inputs: item -> content hash of what the stage would use of it, in the order wanted.
        """
        known = self._known()
        if isinstance(fingerprint, Fingerprint):
            self._remember(fingerprint)
            known[fingerprint.hash] = fingerprint
        live = self._live()
        return make_plan(
            self.name,
            inputs,
            fingerprint.hash if isinstance(fingerprint, Fingerprint) else fingerprint,
            live,
            known,
            set(live.filter(pl.col("status") == "ok", ~self._of_this_layout())["item"]),
            retry_failed=retry_failed,
        )

    def commit(self, rows: Iterable[Row], *, fingerprint: str | Fingerprint, shard: str | None = None) -> None:
        """Writes the rows as one part; they are current as soon as this returns, and were not there at all before.

        Any process may commit at any time. Of two commits of one item the later counts. Raises ValueError for rows
        that the payload's schema does not fit, StoreError where the disk is full or read-only.
        """
        rows = list(rows)
        if not rows:
            return
        check_distinct([row.item for row in rows])
        if isinstance(fingerprint, Fingerprint):
            self._remember(fingerprint)
            fingerprint = fingerprint.hash
        payload, output_hashes = payload_columns(rows, self.payload)
        attempts = self._attempts(rows, fingerprint)
        number, name = self._parts.next_commit()
        count = len(rows)
        state = {
            "item": [row.item for row in rows],
            "status": [row.status for row in rows],
            "input_hash": [row.input_hash for row in rows],
            "fingerprint": [fingerprint] * count,
            "output_hash": output_hashes,
            "error_type": [row.error_type for row in rows],
            "error_message": [row.error_message for row in rows],
            "attempts": attempts,
            "shard": [shard] * count,
            "computed_at": [datetime.now(UTC)] * count,
            "commit": [number] * count,
        }
        self._parts.add([*(pa.array(state[field.name], field.type) for field in STATE), *payload], name)

    def drop(self, items: Iterable[str]) -> None:
        """Hides the items' rows, whatever their state (the plan's orphaned ones)."""
        items = list(items)
        if not items:
            return
        number, name = self._parts.next_commit()
        state = {"item": items, "status": [DROPPED] * len(items), "commit": [number] * len(items)}
        nothing = [None] * len(items)
        columns = [pa.array(state.get(field.name, nothing), field.type) for field in self._parts.schema]
        self._parts.add(columns, name)

    def states(self) -> pl.DataFrame:
        """One row an item: STATE's columns without `commit` (status ok, missing or failed). Reads no payload."""
        return self._live().drop("commit", "row", "part")

    def read(self, items: Sequence[str] | None = None, columns: Sequence[str] | None = None) -> pa.Table:
        """The current ok rows: `item` and the payload columns named (default all), in the order of `items`.

        Items without an ok row of this payload schema are left out; without `items`, rows come in the order of commits.
        """
        columns = list(self.payload.names if columns is None else columns)
        unknown = [column for column in columns if column not in self.payload.names]
        if unknown:
            raise ValueError(
                f"stage {self.name} has no column {unknown[0]!r}, allowed are {', '.join(self.payload.names)}"
            )
        rows = self._live().filter(pl.col("status") == "ok", self._of_this_layout())
        if items is not None:
            check_distinct(items)
            wanted = pl.DataFrame({"item": list(items)}, schema={"item": pl.String})
            rows = wanted.join(rows, on="item", how="inner", maintain_order="left")
        return self._parts.read(rows, columns)

    def compact(self, *, publish: Callable[[], object], retention: float = RETENTION, most_parts: int = 64) -> int:
        """Merges the parts where there are over `most_parts`; returns how many were merged. See `storage.compaction`.

        publish: publishes the catalog. retention: seconds for which the files of merged parts stay, for readers that
        had opened them before.
        """
        return compact(self._parts, publish=publish, retention=retention, most_parts=most_parts)

    def _live(self) -> pl.DataFrame:
        return self._parts.states().filter(pl.col("status") != DROPPED)

    def _of_this_layout(self) -> pl.Expr:
        return pl.col("part").str.split("/").list.get(-2) == self._parts.layout

    def _attempts(self, rows: Sequence[Row], fingerprint: str) -> list[int]:
        """How often in a row each item has failed with these inputs and this fingerprint; 1 for all others."""
        if all(row.status != "failed" for row in rows):
            return [1] * len(rows)
        before = self._live().filter(pl.col("status") == "failed", pl.col("fingerprint") == fingerprint)
        failures = {
            (item, used): count for item, used, count in before.select("item", "input_hash", "attempts").iter_rows()
        }
        return [failures.get((row.item, row.input_hash), 0) + 1 if row.status == "failed" else 1 for row in rows]

    def _remember(self, fingerprint: Fingerprint) -> None:
        path = self.folder / "fingerprints" / f"{fingerprint.hash}.json"
        if not path.exists():
            write_text(path, fingerprint.to_json())

    def _known(self) -> dict[str, Fingerprint]:
        """The fingerprints of all rows so far. They serve the plan's reasons only: a damaged one is removed."""
        known = {}
        for file in (self.folder / "fingerprints").glob("*.json"):
            try:
                known[file.stem] = read_fingerprint(file)
            except DamageError as error:
                logger.warning("%s: it was removed; plans name that fingerprint by its hash from now on", error)
                file.unlink(missing_ok=True)
        return known


def read_fingerprint(file: Path) -> Fingerprint:
    """A fingerprint from the file that is named by its hash.

    Raises:
        DamageError: It is not as it was written.
    """
    with reading(file):
        found = Fingerprint.from_json(file.read_text(encoding="utf-8"))
        if found.hash != file.stem:
            raise DamageError(file, "it is another fingerprint than its name says")
        return found
