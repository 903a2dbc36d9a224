"""The catalog: a DuckDB file with SQL views over the store (docs/storage.md lists them).

The views read the store's parquet files directly, so they also show rows committed after publishing. The file holds only
views. A new one is written under another name, renamed into place and opened read-only, so readers never wait for writers.
"""

import glob
from collections.abc import Mapping
from pathlib import Path

import duckdb
import pyarrow as pa

from storage.arrays import shape_of
from storage.artifact_pointer import LISTING
from storage.durable import StoreError, exclusive, written_beside
from storage.hashing import content_hash
from storage.log import APPENDED
from storage.parts import Parts
from storage.remote.connection import remote_of
from storage.remote.mirror import without_pulling
from storage.rows import DROPPED, STATE
from storage.store import Store

FILE = "catalog.duckdb"
STATES = [name for name in STATE.names if name != "commit"]
BANK = "memory_bank"


def publish(store: Store) -> Path:
    """Update the catalog if a view is missing or outdated, and return its path.

    This is needed when a stage, table, log or artifact is new or has new columns, not when rows are new.

    Args:
        store: The store to publish.

    Raises:
        StoreError: Two views would have the same name, or the disk is full.
    """
    with without_pulling():
        return _publish(store)


def _publish(store: Store) -> Path:
    path = store.root / FILE
    # Only one process at a time: otherwise a slow one could replace newer views by older ones.
    with exclusive(store.root / "publishing.lock", doing="publishing the catalog", wait=True):
        for name in store.names("artifacts"):
            store.artifact(name).list_versions()  # a run may have been killed before it listed them
        if _info(path) != (str(store.root), content_hash(_views(store))):
            for name in store.names("logs"):
                store.log(name).set_damaged_aside()  # DuckDB cannot create a view over a damaged file
            views = _views(store)
            _write(path, store.root, views, content_hash(views))
    return path


def _write(path: Path, root: Path, views: Mapping[str, str], made_of: str) -> None:
    """Write a new catalog and replace the old one by it, atomically."""
    with written_beside(path) as scratch:
        try:
            with duckdb.connect(str(scratch)) as connection:
                connection.execute(
                    f"CREATE TABLE catalog_info AS SELECT {_text(root)} AS root, {_text(made_of)} AS made_of, "
                    "now() AS published_at"
                )
                for name, query in views.items():
                    connection.execute(f"CREATE VIEW {_name(name)} AS {query}")
                # Until a checkpoint the data may be in a write-ahead log only, and closing does not report a full disk.
                connection.execute("CHECKPOINT")
        except duckdb.Error as error:
            raise StoreError(
                f"{path}: the catalog cannot be written, the old one stays: {error}. "
                "If the disk is full, free some space; then run again"
            ) from error
        finally:
            scratch.with_name(scratch.name + ".wal").unlink(missing_ok=True)


def connect(store: Store) -> duckdb.DuckDBPyConnection:
    """Open a read-only connection to the catalog. It is published first if it is missing or the store was moved.

    The file is attached to an in-memory database, because DuckDB lets a process open one version of a file only.

    Args:
        store: The store whose catalog to open.

    Raises:
        StoreError: The catalog had to be published, and that failed (see `publish`).

    Example:
        >>> import tempfile
        >>> import polars as pl
        >>> folder = tempfile.TemporaryDirectory()
        >>> store = Store(folder.name)
        >>> _ = store.table("likes").write(pl.DataFrame({"item": ["7"]}), inputs_hash="i", fingerprint="f")
        >>> _ = publish(store)
        >>> with connect(store) as connection:
        ...     connection.sql("SELECT item FROM likes").fetchall()
        [('7',)]
        >>> folder.cleanup()
    """
    path = store.root / FILE
    if remote_of(store.root) is not None:
        store.fetch()
        publish(store)
    elif _info(path)[0] != str(store.root):
        publish(store)
    return _attach(path)


def select_rows(store: Store, query: str, *, most: int) -> tuple[list[list[object]], list[str]]:
    """Return the rows and the columns of one SELECT or SHOW that somebody else wrote; it reads nothing outside the store.

    Args:
        store: The store.
        query: The statement.
        most: Largest number of rows to return.

    Raises:
        StoreError: It is no single SELECT, or DuckDB refuses it.
    """
    with connect(store) as connection:
        try:
            statements = connection.extract_statements(query)
            if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
                raise StoreError("one SELECT statement is allowed")
            folder = str(store.root).replace("'", "''")
            connection.execute(f"SET allowed_directories = ['{folder}/']")
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            result = connection.execute(statements[0])
            return [list(row) for row in result.fetchmany(most)], [column[0] for column in result.description]
        except duckdb.Error as error:
            raise StoreError(str(error)) from error


def _attach(path: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(f"ATTACH {_text(path)} AS catalog (READ_ONLY)")
    connection.execute("USE catalog")
    return connection


def _info(path: Path) -> tuple[str, str]:
    """Return (root, made_of) of a catalog; two empty strings if it is missing or unreadable."""
    if not path.exists():
        return "", ""
    try:
        with _attach(path) as connection:
            return connection.sql("SELECT root, made_of FROM catalog_info").fetchone()
    except duckdb.Error:
        return "", ""


def is_readable(path: Path) -> bool:
    """Return whether the file is a catalog that can be opened."""
    return _info(path) != ("", "")


def _path(path: Path) -> str:
    """Return a path as part of a glob pattern, with its own brackets and stars escaped."""
    return glob.escape(str(path))


def _text(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _name(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


def _cast(field: pa.Field) -> str | None:
    """Return the SQL that casts a column of arrays to FLOAT[n] (ragged: FLOAT[n][]); None for other columns.

    DuckDB's array functions need these types.
    """
    shape = shape_of(field)
    if shape is None:
        return None
    kind = f"FLOAT[{shape[1]}][]" if shape[0] is None else f"FLOAT[{field.type.list_size}]"
    return f"{_name(field.name)}::{kind} AS {_name(field.name)}"


def _parquet(patterns: list[str], options: str = "filename = false") -> str:
    # Without `hive_partitioning = false`, a folder such as `seed=3` above the store would add a column `seed`.
    return f"read_parquet([{', '.join(map(_text, patterns))}], hive_partitioning = false, {options})"


def _views(store: Store) -> dict[str, str]:
    """Return view name -> query, in an order in which the views can be created."""
    views: dict[str, str] = {}

    def add(name: str, query: str, what: str) -> None:
        if name in views:
            raise StoreError(f"{store.root}: the catalog has a view {name} already; {what} must have another name")
        views[name] = query

    stages = store.stages()
    for name, stage in stages.items():
        states, rows = _stage_queries(stage.folder, stage.payload)
        add(f"{name}_states", states, f"the states of stage {name}")
        add(name, rows, f"stage {name}")
    none = f"SELECT NULL::VARCHAR AS stage, {', '.join(f'NULL::VARCHAR AS {name}' for name in STATES)} LIMIT 0"
    union = " UNION ALL ".join(f"SELECT {_text(name)} AS stage, * FROM {_name(name + '_states')}" for name in stages)
    add("states", union or none, "all stages' states")
    add("failures", "SELECT * EXCLUDE (status) FROM states WHERE status = 'failed'", "all stages' failures")
    for name in store.names("tables"):
        schema = store.table(name).schema()
        if schema is not None:
            casts = [cast for field in schema if (cast := _cast(field))]
            replaced = f" REPLACE ({', '.join(casts)})" if casts else ""
            add(name, f"SELECT *{replaced} FROM {_parquet([_path(store.table(name).current)])}", f"table {name}")
    for name in store.names("logs"):
        log = store.log(name)
        if log.files():
            rows = _parquet([f"{_path(log.folder)}/{APPENDED}"], "union_by_name = true")
            add(name, f"SELECT * FROM {rows}", f"log {name}")
    add("artifact_versions", _artifact_query(store.root), "all artifacts' versions")
    add("bank_versions", BANK_VERSIONS, "the memory bank's versions")
    return views


def _stage_queries(folder: Path, payload: pa.Schema) -> tuple[str, str]:
    """Return the queries for a stage's states and for its ok rows. Both select each item's newest row by its state."""
    parts = Parts(folder, payload)
    generations = parts.generations()
    everything = _parquet([f"{_path(generation)}/*/*.parquet" for generation in generations], "filename = true")
    newest = (
        f"SELECT {', '.join(map(_name, STATE.names))}, filename FROM {everything} "
        'QUALIFY row_number() OVER (PARTITION BY item ORDER BY "commit" DESC, filename DESC) = 1'
    )
    rows = _parquet([f"{_path(generation)}/{parts.layout}/*.parquet" for generation in generations], "filename = true")
    columns = ["item", *(_cast(field) or _name(field.name) for field in payload)]
    return (
        f"SELECT {', '.join(STATES)} FROM ({newest}) WHERE status <> '{DROPPED}'",
        f"SELECT {', '.join(columns)} FROM {rows} SEMI JOIN ({newest}) USING (item, filename) WHERE status = 'ok'",
    )


def _artifact_query(root: Path) -> str:
    listings = f"{_path(root)}/artifacts/*/{LISTING}"
    if not any(root.glob(f"artifacts/*/{LISTING}")):
        return (
            "SELECT NULL::VARCHAR AS artifact, NULL::INTEGER AS version, NULL::BOOLEAN AS in_service, "
            "NULL::TIMESTAMPTZ AS created_at, NULL::VARCHAR AS inputs_hash, NULL::VARCHAR AS fingerprint, "
            "NULL::JSON AS metadata LIMIT 0"
        )
    columns = (
        "{version: 'INTEGER', in_service: 'BOOLEAN', created_at: 'TIMESTAMPTZ', inputs_hash: 'VARCHAR', "
        "fingerprint: 'VARCHAR', metadata: 'JSON'}"
    )
    options = "format = 'array', filename = true, hive_partitioning = false"
    listed = f"read_json({_text(listings)}, columns = {columns}, {options})"
    return f"SELECT string_split(filename, '/')[-2] AS artifact, * EXCLUDE (filename) FROM {listed}"


BANK_VERSIONS = f"""
    SELECT version, in_service, created_at, (metadata->>'members')::INTEGER AS members,
        (metadata->>'with_content')::INTEGER AS with_content, (metadata->>'with_temporal')::INTEGER AS with_temporal,
        (metadata->>'content_width')::INTEGER AS content_width,
        (metadata->>'temporal_width')::INTEGER AS temporal_width,
        metadata->>'status' AS status, metadata->'versions' AS versions, metadata
    FROM artifact_versions WHERE artifact = '{BANK}'"""
