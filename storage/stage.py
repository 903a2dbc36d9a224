"""A stage of the pipeline in the store: one row per video, computed in increments."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa

from storage.compaction import compact
from storage.damage import DamageError, logger, reading
from storage.durable import write_text, written_beside
from storage.fingerprint import Fingerprint
from storage.parts import Parts, ReservedPart, is_generation_mark
from storage.payload_schema import PAYLOAD_FILE, read_payload_schema
from storage.plan import Plan, make_plan
from storage.remote.connection import mirror_of
from storage.rows import DROPPED, STATE, Row, check_distinct, payload_columns

RETENTION = 24 * 3600.0  # seconds


class Stage:
    """One row per video: its state (`storage.rows.STATE`) and, if it was computed, the payload.

    Get a stage from `Store.stage`.

    Attributes:
        folder: The stage's folder in the store.
        name: The folder's name.
        payload: The columns that the stage computes.

    Example:
        >>> import tempfile
        >>> from storage.store import Store
        >>> folder = tempfile.TemporaryDirectory()
        >>> stage = Store(folder.name).stage("title_words", pa.schema({"words": pa.int32()}))
        >>> inputs = {"7": "hash of title 7", "8": "hash of title 8"}
        >>> stage.plan(inputs, Fingerprint(code=1)).todo
        ['7', '8']
        >>> stage.commit([Row.ok("7", inputs["7"], {"words": 3})], fingerprint=Fingerprint(code=1))
        >>> stage.plan(inputs, Fingerprint(code=1)).todo
        ['8']
        >>> stage.read(columns=["words"]).to_pylist()
        [{'item': '7', 'words': 3}]
        >>> folder.cleanup()
    """

    def __init__(self, folder: Path, payload: pa.Schema):
        """Open a stage, and create its folder if it does not exist.

        Args:
            folder: The stage's folder.
            payload: The columns that the stage computes.

        Raises:
            ValueError: A payload column has the name of a state column.
        """
        taken = set(payload.names) & set(STATE.names)
        if taken:
            raise ValueError(f"stage {folder.name}: payload columns {sorted(taken)} are state columns; rename them")
        self.folder = folder
        self.name = folder.name
        self.payload = payload
        self._parts = Parts(folder, payload)
        self._mirror = mirror_of(folder)
        self._mirror.pull()
        if not (self._mirror.is_remote and self._is_prepared()):
            self._mirror.change(self._prepare)

    def _is_prepared(self) -> bool:
        schema = self.payload.serialize().to_pybytes()
        same = self.schema_file.exists() and self.schema_file.read_bytes() == schema
        return same and all((generation / self._parts.layout).is_dir() for generation in self._parts.generations())

    def _prepare(self) -> None:
        """Write what a stage without rows has: a generation, an empty part and the payload's schema."""
        self._parts.seed()
        schema = self.payload.serialize().to_pybytes()
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
        """The file with the payload's schema, for readers such as the catalog that do not know the stage's code."""
        return self.folder / PAYLOAD_FILE

    def plan(self, inputs: Mapping[str, str], fingerprint: str | Fingerprint, *, retry_failed: bool = False) -> Plan:
        """Return the items to compute, with reasons. Nothing is computed and no row is changed.

        Args:
            inputs: Item -> content hash of its inputs, in the order in which items are to be computed.
            fingerprint: The fingerprint of the current code, parameters and model.
            retry_failed: Whether to compute items again that failed with the same inputs and fingerprint.
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

    def reserve(self, count: int) -> list[ReservedPart]:
        """Return parts for the shards of a run whose workers commit in any order and may be started twice.

        The rows' order in the stage is the order of these parts.
        """
        return self._parts.reserve(count)

    def committed(self, part: ReservedPart) -> pl.DataFrame | None:
        """Return the states of the rows of a reserved part: the columns of STATE; None if the part is not committed."""
        file = self._parts.find(part.name)
        if file is None:
            return None
        self._mirror.fetch()
        return self._parts.states([file])

    def commit(
        self,
        rows: Iterable[Row],
        *,
        fingerprint: str | Fingerprint,
        shard: str | None = None,
        part: ReservedPart | None = None,
    ) -> None:
        """Write the rows atomically, as one part: a reader sees either all of them or none.

        Any process may commit at any time. If an item is committed twice, the later row counts.

        Args:
            rows: At most one row per item. Without rows nothing is written.
            fingerprint: The fingerprint of the code, parameters and model that computed the rows.
            shard: Name of the shard that the rows were computed in, kept in their state.
            part: The part to commit, from `reserve`. If several processes commit it, the first one counts. By default a new
                part.

        Raises:
            ValueError: Rows do not fit the payload's schema, or an item has two rows.
            StoreError: The disk is full or read-only.
        """
        rows = list(rows)
        if not rows:
            return
        check_distinct([row.item for row in rows])
        columns = payload_columns(rows, self.payload)
        self._mirror.change(
            lambda: self._commit(rows, *columns, fingerprint=fingerprint, shard=shard, part=part),
            depends_on=is_generation_mark,
        )

    def _commit(
        self,
        rows: Sequence[Row],
        payload: Sequence[pa.Array],
        output_hashes: Sequence[str | None],
        *,
        fingerprint: str | Fingerprint,
        shard: str | None,
        part: ReservedPart | None,
    ) -> None:
        if part is not None and self._parts.find(part.name) is not None:
            return
        if isinstance(fingerprint, Fingerprint):
            self._remember(fingerprint)
            fingerprint = fingerprint.hash
        attempts = self._attempts(rows, fingerprint)
        number, name = (part.number, part.name) if part else self._parts.next_commit()
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
        columns = [*(pa.array(state[field.name], field.type) for field in STATE), *payload]
        self._parts.add(columns, name, keep_first=part is not None)

    def drop(self, items: Iterable[str]) -> None:
        """Hide the rows of these items, whatever their status. Used for orphaned items (`Plan.orphaned`)."""
        items = list(items)
        if items:
            self._mirror.change(lambda: self._drop(items), depends_on=is_generation_mark)

    def _drop(self, items: Sequence[str]) -> None:
        number, name = self._parts.next_commit()
        state = {"item": items, "status": [DROPPED] * len(items), "commit": [number] * len(items)}
        nothing = [None] * len(items)
        columns = [pa.array(state.get(field.name, nothing), field.type) for field in self._parts.schema]
        self._parts.add(columns, name)

    def states(self) -> pl.DataFrame:
        """Return one row per item: the columns of STATE without `commit`. The payload is not read.

        `status` is `ok`, `missing` or `failed`.
        """
        return self._live().drop("commit", "row", "part")

    def read(self, items: Sequence[str] | None = None, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the payload of current rows whose status is `ok`.

        Args:
            items: The items to read, in the order of the result. Items without an `ok` row of this payload schema are
                left out. By default all items, in the order in which they were committed.
            columns: The payload columns to read, by default all.

        Returns:
            `item` and the payload columns.

        Raises:
            ValueError: The stage has no such column, or an item is given twice.
            DamageError: A part of the stage is damaged. It was set aside, and its rows count as not computed.
        """
        return self.read_places(self.places(items), columns)

    def places(self, items: Sequence[str] | None = None) -> pl.DataFrame:
        """Return where the current rows with status `ok` are. Slices of it are read by `read_places`, block by block.

        Args:
            items: As in `read`.

        Returns:
            `item`, `part` (the file's path) and `row` (the row's number in the file).

        Raises:
            ValueError: An item is given twice.
        """
        rows = self._live().filter(pl.col("status") == "ok", self._of_this_layout()).select("item", "part", "row")
        if items is None:
            return rows
        check_distinct(items)
        wanted = pl.DataFrame({"item": list(items)}, schema={"item": pl.String})
        return wanted.join(rows, on="item", how="inner", maintain_order="left")

    def read_places(self, places: pl.DataFrame, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the payload of some rows. The cost does not depend on the number of the stage's other rows.

        Args:
            places: Rows of `places`, in the order of the result.
            columns: The payload columns to read, by default all.

        Returns:
            `item` and the payload columns.

        Raises:
            ValueError: The stage has no such column.
            DamageError: A part of the stage is damaged. It was set aside, and its rows count as not computed.
        """
        columns = list(self.payload.names if columns is None else columns)
        unknown = [column for column in columns if column not in self.payload.names]
        if unknown:
            raise ValueError(
                f"stage {self.name} has no column {unknown[0]!r}, allowed are {', '.join(self.payload.names)}"
            )
        return self._parts.read(places, columns)

    def compact(self, *, publish: Callable[[], object], retention: float = RETENTION, most_parts: int = 64) -> int:
        """Merge the stage's parts if there are more than `most_parts`. See `storage.compaction`.

        Args:
            publish: Publishes the catalog.
            retention: Seconds for which the files of merged parts are kept, for readers that opened them before.
            most_parts: The number of parts up to which nothing is merged.

        Returns:
            How many parts were merged.
        """

        def merge() -> int:
            self._mirror.fetch()
            return compact(self._parts, publish=publish, retention=retention, most_parts=most_parts)

        return self._mirror.change(merge, depends_on=lambda path: path.startswith("parts/"))

    def _live(self) -> pl.DataFrame:
        return self._parts.states().filter(pl.col("status") != DROPPED)

    def _of_this_layout(self) -> pl.Expr:
        return pl.col("part").str.contains(f"/{self._parts.layout}/[^/]*$")

    def _attempts(self, rows: Sequence[Row], fingerprint: str) -> list[int]:
        """Return how often in a row each item has failed with these inputs and this fingerprint; 1 for other rows."""
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
            self._mirror.change(lambda: write_text(path, fingerprint.to_json()))

    def _known(self) -> dict[str, Fingerprint]:
        """Return fingerprint hash -> fingerprint for all rows so far.

        They are used only for the reasons in a plan, so a damaged file is removed.
        """
        known = {}
        for file in (self.folder / "fingerprints").glob("*.json"):
            try:
                known[file.stem] = read_fingerprint(file)
            except DamageError as error:
                logger.warning("%s; the file was removed, and plans now show this fingerprint's hash", error)
                file.unlink(missing_ok=True)
                self._mirror.distrust()
        return known


def read_fingerprint(file: Path) -> Fingerprint:
    """Read a fingerprint from its file, whose name is the fingerprint's hash.

    Raises:
        DamageError: The file is damaged.
    """
    with reading(file):
        found = Fingerprint.from_json(file.read_text(encoding="utf-8"))
        if found.hash != file.stem:
            raise DamageError(file, "the fingerprint's hash differs from the file's name")
        return found
