"""The catalog: a DuckDB file of views over the store, for people and their SQL.

Views read the parquet where it lies, so what is committed after publishing is seen too. The file itself only holds
views; it is made beside and renamed into place, and opened read-only: no reader ever waits for a writer.
"""

from pathlib import Path

import duckdb
import pyarrow as pa

from storage.arrays import shape_of
from storage.durable import exclusive, written_beside
from storage.parts import Parts
from storage.rows import DROPPED, STATE
from storage.store import Store

FILE = "catalog.duckdb"
STATES = [name for name in STATE.names if name != "commit"]


def _text(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _name(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


def _column(field: pa.Field) -> str:
    """Arrays as FLOAT[n] (ragged: FLOAT[n][]), so that DuckDB's array functions take them."""
    name, shape = _name(field.name), shape_of(field)
    if shape is None:
        return name
    if shape[0] is None:
        return f"{name}::FLOAT[{shape[1]}][] AS {name}"
    return f"{name}::FLOAT[{field.type.list_size}] AS {name}"


def _parquet(patterns: list[str]) -> str:
    return f"read_parquet([{', '.join(map(_text, patterns))}], union_by_name=true, filename=true)"


def _stage_views(folder: Path, payload: pa.Schema) -> list[str]:
    parts = Parts(folder, payload)
    name = folder.name
    generations = parts.generations()
    states = _parquet([f"{generation}/*/*.parquet" for generation in generations])
    rows = _parquet([f"{generation}/{parts.layout}/*.parquet" for generation in generations])
    newest = f"""
        SELECT {", ".join(STATE.names)}, filename FROM {states}
        QUALIFY row_number() OVER (PARTITION BY item ORDER BY "commit" DESC, filename DESC) = 1"""
    columns = ", ".join(["item", *map(_column, payload)])
    return [
        f"""CREATE VIEW {_name(name + "_states")} AS
            SELECT {", ".join(STATES)} FROM ({newest}) WHERE status <> '{DROPPED}'""",
        f"""CREATE VIEW {_name(name)} AS
            SELECT {columns} FROM {rows} SEMI JOIN ({newest}) AS newest USING (item, filename) WHERE status = 'ok'""",
    ]


def publish(store: Store) -> Path:
    """Writes the catalog anew and puts it in the place of the one before. Returns its path."""
    path = store.root / FILE
    # One after the other, or a slow one would put an older view of the store in the place of a newer one.
    with exclusive(store.root / "publishing.lock", doing="publishing the catalog", wait=True):
        statements = _statements(store)
        with written_beside(path) as scratch, duckdb.connect(str(scratch)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.close()
    return path


def _statements(store: Store) -> list[str]:
    statements = [
        f"CREATE TABLE catalog_info AS SELECT {_text(store.root)} AS root, now() AS published_at",
    ]
    stages = store.stages()
    for stage in stages.values():
        statements += _stage_views(stage.folder, stage.payload)
    union = " UNION ALL ".join(f"SELECT '{name}' AS stage, * FROM {_name(name + '_states')}" for name in stages)
    if union:
        statements.append(f"CREATE VIEW states AS {union}")
        statements.append("CREATE VIEW failures AS SELECT * FROM states WHERE status = 'failed'")
    for current in sorted(store.root.glob("tables/*/current.parquet")):
        statements.append(f"CREATE VIEW {_name(current.parent.name)} AS SELECT * FROM read_parquet({_text(current)})")
    for log in sorted(store.root.glob("logs/*")):
        if any(log.glob("*.parquet")):
            statements.append(
                f"CREATE VIEW {_name(log.name)} AS SELECT * EXCLUDE (filename) FROM {_parquet([f'{log}/*.parquet'])}"
            )
    return statements


def connect(store: Store) -> duckdb.DuckDBPyConnection:
    """A read-only connection to the catalog, published first where it is not there or the store was moved.

    The file is attached to a database in memory, so that a process may hold connections to catalogs of different ages.
    """
    path = store.root / FILE
    if not path.exists() or _root_of(path) != str(store.root):
        publish(store)
    return _attach(path)


def _attach(path: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(f"ATTACH {_text(path)} AS catalog (READ_ONLY)")
    connection.execute("USE catalog")
    return connection


def _root_of(path: Path) -> str:
    with _attach(path) as connection:
        return connection.sql("SELECT root FROM catalog_info").fetchone()[0]
