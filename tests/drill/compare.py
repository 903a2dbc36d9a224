"""Two stores, row by row: what one holds and the other does not."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from assets.monitoring.logged_forecasts import read_log
from storage import catalog
from storage.check import check_store
from storage.damage import DamageError
from storage.store import Store

STATE = ["item", "status", "input_hash", "fingerprint", "output_hash", "error_type"]
# columns of tables that are others in each store: numbers of versions, and what was measured
OF_THE_STORE = {
    "neighbours": ["bank_version"],
    "predictions": ["bank_version"],
    "leaderboard": ["training_seconds", "peak_memory_mb"],
}


def differences(found: Path, expected: Path) -> list[str]:
    """What differs in `found`, a line each; empty where both hold the same rows, tables and versions in service."""
    ours, theirs = Store(found), Store(expected)
    told = []
    if ours.stages().keys() != theirs.stages().keys():
        told.append(f"stages: {sorted(ours.stages().keys() ^ theirs.stages().keys())} are in one store only")
    for name in ours.stages().keys() & theirs.stages().keys():
        one, other = ours.stages()[name], theirs.stages()[name]
        told += _rows(f"{name}, states", one.states().select(STATE), other.states().select(STATE))
        told += _rows(f"{name}, rows", pl.from_arrow(one.read()), pl.from_arrow(other.read()))
    tables = {path.parent.name for root in (found, expected) for path in root.glob("tables/*/current.parquet")}
    for name in tables:
        frames = [store.table(name).read().drop(OF_THE_STORE.get(name, [])) for store in (ours, theirs)]
        if not frames[0].equals(frames[1]):
            told.append(f"table {name}: differs")
    # packs are copies of the stages' rows in the order in which they came, which is another one after a fault
    artifacts = {
        path.name
        for root in (found, expected)
        for path in root.glob("artifacts/*")
        if not path.name.startswith("pack_")
    }
    for name in artifacts:
        one, other = (store.artifact(name).current() for store in (ours, theirs))
        if one is None or other is None or (one.inputs_hash, one.fingerprint) != (other.inputs_hash, other.fingerprint):
            told.append(f"artifact {name}: the versions in service are of different things")
    if not logged(ours).equals(logged(theirs)):
        told.append("log forecast_log: lost a forecast, or holds another")
    return told + doubled(found)


def logged(store: Store) -> pl.DataFrame:
    """The forecasts of the log, without the versions, which have numbers of their own in each store."""
    return read_log(store).select("item", "target_name", "data_end", "predicted").sort(pl.all())


def doubled(root: Path) -> list[str]:
    """Items with more than one row, as SQL sees them, and forecasts that were logged twice."""
    store, told = Store(root), []
    with catalog.connect(store) as connection:
        for name in store.stages():
            rows, items = connection.sql(f"SELECT count(*), count(DISTINCT item) FROM {name}_states").fetchone()
            if rows != items:
                told.append(f"{name}: {rows} rows of {items} items in the catalog")
    if read_log(store)["forecast"].is_duplicated().any():
        told.append("log forecast_log: a forecast is there twice")
    return told


def _rows(what: str, one: pl.DataFrame, other: pl.DataFrame) -> list[str]:
    one, other = one.sort("item"), other.sort("item")
    lost = sorted(set(other["item"]) - set(one["item"]))
    more = sorted(set(one["item"]) - set(other["item"]))
    if lost or more:
        return [f"{what}: lost {lost[:5]}, too many {more[:5]}"]
    if one.equals(other):
        return []
    differ = [item for item, a, b in zip(one["item"], one.rows(), other.rows(), strict=True) if repr(a) != repr(b)]
    return [f"{what}: other values for {differ[:5]}"] if differ else []


def finished(root: Path) -> dict[tuple[str, str], object]:
    """(stage, item) -> when it was computed, of every row that is not failed; reads every row, so a torn file is an error."""
    rows = {}
    for finding in check_store(root, deep=True):  # before a run sets such a part aside and computes its rows again
        raise DamageError(Path(finding.subject), finding.problem)
    for name, stage in Store(root).stages().items():
        for item, status, at in stage.states().select("item", "status", "computed_at").iter_rows():
            if status != "failed":
                rows[name, item] = at
    return rows


def without_duplicates(root: Path) -> list[str]:
    """Items that are alone in their duplicate group."""
    splits = Store(root).table("splits").read()
    return splits.filter(pl.len().over("group") == 1)["item"].to_list()
