"""A small pipeline over a store, with something of every kind, that brings the store up to date as a run of the graph does.

Each part takes some milliseconds, so that it can be broken at each of its operations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from storage import catalog
from storage.arrays import fixed
from storage.artifact_version import ArtifactVersion
from storage.bank.memory_bank import MemoryBank
from storage.bank.version import build
from storage.fingerprint import Fingerprint
from storage.hashing import content_hash
from storage.pack import open_pack, pack_artifact
from storage.rows import Row
from storage.stage import Stage
from storage.store import Store
from storage.upkeep import upkeep

PAYLOAD = pa.schema([pa.field("title", pa.string()), fixed("embedding", [4])])
# Day -> item -> title. On the second day one is changed, one is gone and one is new. An empty title is missing, `bad` fails.
DAYS = {
    1: {"a": "one", "b": "two", "c": "three", "d": "", "e": "bad"},
    2: {"b": "two", "c": "four", "d": "", "e": "bad", "f": "five"},
}
SHARD = 2
STATES = ["item", "status", "input_hash", "fingerprint", "output_hash", "error_type", "error_message", "attempts"]

Done = Callable[[str], object]


@dataclass(frozen=True)
class Part:
    """A part of the pipeline.

    Attributes:
        run: Brings its part of the store up to date with a day. It calls its last argument with a note of each thing that it
            computed, as soon as that is finished.
        content: Returns what the store holds of it, without the numbers of versions and times, which differ between runs.
        needs: The parts that must have run before.
        made_again: Whether the next run makes again what was lost; rows of a log are not, but `check` names their file.
    """

    run: Callable[[Store, int, Done], None]
    content: Callable[[Store], object]
    needs: tuple[str, ...] = ()
    made_again: bool = True


def _titles(store: Store) -> Stage:
    return store.stage("titles", PAYLOAD)


def _row(item: str, title: str) -> Row:
    used = content_hash(title)
    if not title:
        return Row.missing(item, used, "no title")
    if title == "bad":
        return Row.failed(item, used, ValueError("a bad title"))
    return Row.ok(item, used, {"title": title, "embedding": np.full(4, len(title))})


def _run_stage(store: Store, day: int, done: Done) -> None:
    stage, titles, fingerprint = _titles(store), DAYS[day], Fingerprint(1, {"width": 4})
    plan = stage.plan({item: content_hash(title) for item, title in titles.items()}, fingerprint)
    stage.drop(plan.orphaned)
    for start in range(0, len(plan.todo), SHARD):
        shard = plan.todo[start : start + SHARD]
        stage.commit([_row(item, titles[item]) for item in shard], fingerprint=fingerprint, shard=str(start))
        for item in shard:
            done(f"row of {item}")


def _stage_content(store: Store) -> object:
    stage = store.stages()["titles"]
    rows = stage.read().to_pylist()
    return stage.payload, sorted(map(repr, rows)), stage.states().select(STATES).sort("item").rows()


def _lengths(day: int) -> pl.DataFrame:
    titles = DAYS[day]
    return pl.DataFrame({"item": list(titles), "length": [len(title) for title in titles.values()]})


def _run_table(store: Store, day: int, done: Done) -> None:
    table = store.table("lengths")
    if not table.is_current(f"day {day}", "f", verify=True):
        table.write(_lengths(day), inputs_hash=f"day {day}", fingerprint="f", metadata={"items": len(DAYS[day])})
        done("table")
    table.prune(keep=1)


def _table_content(store: Store) -> object:
    table = store.table("lengths")
    state = table.state(verify=True)
    return table.read().rows(), state.inputs_hash, state.fingerprint, state.metadata, state.rows


def _run_artifact(store: Store, day: int, done: Done) -> None:
    model = store.artifact("model")
    if model.current(verify=True) is None or not model.is_current(f"day {day}", "f"):
        with model.new(inputs_hash=f"day {day}", fingerprint="f", metadata={"day": day}) as folder:
            (folder / "seeds").mkdir()
            (folder / "seeds" / "0.txt").write_text(f"weights of day {day}")
            np.save(folder / "mean.npy", np.arange(day))
        done("artifact")
    model.prune(keep=1)
    model.list_versions()


def _version_content(version: ArtifactVersion) -> object:
    files = {
        str(file.relative_to(version.path)): file.read_bytes()
        for file in sorted(version.path.rglob("*"))
        if file.is_file() and file.name != "version.json"
    }
    return version.inputs_hash, version.fingerprint, version.metadata, files


def _artifact_content(store: Store) -> object:
    return _version_content(store.artifact("model").current(verify=True))


def _run_bank(store: Store, day: int, done: Done) -> None:
    bank, items = store.artifact("memory_bank"), list(DAYS[day])
    vectors = np.array([[len(title), 1.0] for title in DAYS[day].values()], np.float32)
    kept = np.ones(len(items), bool)
    version = build(
        bank,
        items=items,
        content=vectors,
        content_mask=kept,
        temporal=vectors,
        temporal_mask=kept,
        labels=vectors[:, 0],
        label_times=None,
        groups=np.arange(len(items)),
        versions={"content": "one"},
    )
    current = bank.current(verify=True)
    if current is None or current.version != version.version:
        bank.activate(version.version)
        done("bank")
    bank.prune(keep=1)


def _bank_content(store: Store) -> object:
    bank = MemoryBank.open(store.artifact("memory_bank"), expect={"content": "one"})
    return list(bank.items), np.asarray(bank.content).tolist(), np.asarray(bank.labels).tolist()


def _run_pack(store: Store, day: int, done: Done) -> None:
    open_pack(store, _titles(store))
    pack_artifact(store, "titles").list_versions()


def _pack_content(store: Store) -> object:
    pack = open_pack(store, _titles(store))
    starts, lengths = pack.find(list(DAYS[1] | DAYS[2]))
    return [pack.values[start : start + length].tolist() for start, length in zip(starts, lengths, strict=True)]


def _run_log(store: Store, day: int, done: Done) -> None:
    logged = store.log("forecasts").read()
    before = set(logged["item"]) if logged.width else set()
    new = _lengths(day).filter(~pl.col("item").is_in(before))
    for item in new["item"]:
        store.append("forecasts", new.filter(pl.col("item") == item))
        done(f"forecast of {item}")


def _log_content(store: Store) -> object:
    return store.log("forecasts").read().sort("item").rows()


def _run_upkeep(store: Store, day: int, done: Done) -> None:
    upkeep(store, retention=0, most_parts=1, keep_versions=1)


def _catalog_content(store: Store) -> object:
    with catalog.connect(store) as connection:
        views = [
            name for (name,) in connection.sql("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        ]
        rows = connection.sql("SELECT item, title, embedding FROM titles ORDER BY item").fetchall()
        states = connection.sql(f"SELECT {', '.join(STATES)} FROM titles_states ORDER BY item").fetchall()
        versions = connection.sql(
            "SELECT artifact, inputs_hash, fingerprint, metadata::VARCHAR FROM artifact_versions WHERE in_service "
            "AND artifact NOT LIKE 'pack_%' ORDER BY ALL"
        ).fetchall()
    return sorted(views), rows, states, versions


PARTS = {
    "stage": Part(_run_stage, _stage_content),
    "table": Part(_run_table, _table_content),
    "artifact": Part(_run_artifact, _artifact_content),
    "bank": Part(_run_bank, _bank_content),
    "log": Part(_run_log, _log_content, made_again=False),
    "pack": Part(_run_pack, _pack_content, needs=("stage",)),
    "upkeep": Part(_run_upkeep, _catalog_content, needs=("stage", "artifact")),
}


def run(root: Path, day: int, parts: Sequence[str] = tuple(PARTS), *, done: Done = lambda note: None) -> None:
    """Bring parts of a store up to date with a day, in the order given; see `Part`."""
    store = Store(root)
    for name in parts:
        PARTS[name].run(store, day, done)


def content(root: Path, parts: Sequence[str] = tuple(PARTS)) -> dict[str, object]:
    """Return what parts of a store hold; see `Part`."""
    store = Store(root)
    return {name: PARTS[name].content(store) for name in parts}
