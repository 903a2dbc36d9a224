"""A run with nothing new over a store of a million videos, without the hours of a first run.

    python -m tests.benchmarks.large_idle_night --store FOLDER [--videos 1000000] [--folder FOLDER]

`--store` is the folder of a small size that `tests.benchmarks.scaling` finished. Its stages and tables are copied so many
times, each time under new ids, that they hold `--videos` videos; fitted models are copied once. The data set is written at
full size. A first pass then notes the marks of all files as if every asset had just ended, and computes nothing. The night
that is measured afterwards is an ordinary one in a process of its own.

Aim: no row is computed, in under 60 CPU seconds beyond start-up and under 4 GB.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa

from storage.checked_parquet import read_table
from storage.parts import EMPTY, Parts
from storage.store import Store
from tests.benchmarks.night import run_graph, run_night
from tests.benchmarks.scaling import beyond_startup, options_of, write_set

ROWS = 4000  # per part, as in a first run
IDS = ("item", "neighbour")
SECONDS, BYTES = 60.0, 4e9


class _AlwaysEqual(str):
    """A mark that equals every other one."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str)


def copies(rows: pl.DataFrame, videos: int, times: int) -> Iterator[pl.DataFrame]:
    """Yield a frame `times` times. Its ids, which are numbers from 1 to `videos`, go on from copy to copy."""
    ids = [name for name in IDS if name in rows.columns]
    for number in range(times):
        yield rows.with_columns((pl.col(name).cast(pl.Int64) + number * videos).cast(pl.String) for name in ids)


def enlarge(source: Store, target: Store, videos: int, times: int) -> None:
    """Fill a store with the stages and tables of another one, many times over."""
    for name, stage in source.stages().items():
        parts = Parts(stage.folder, stage.payload)
        tables = [read_table(file) for file in parts.files() if file.name != EMPTY]
        if not tables:
            continue
        rows = pl.from_arrow(pa.concat_tables(tables)).sort("commit").unique("item", keep="last", maintain_order=True)
        rows, own = (
            rows.filter(pl.col("status") != "dropped"),
            Parts(target.stage(name, stage.payload).folder, stage.payload),
        )
        together: list[pl.DataFrame] = []
        for copy in copies(rows, videos, times):
            together.append(copy)
            if sum(map(len, together)) >= ROWS:
                _add(own, together)
        _add(own, together)
    for name in source.names("tables"):
        state, frame = source.table(name).state(), source.table(name).read()
        large = pl.concat(copies(frame, videos, times)) if "item" in frame.columns else frame
        facts = {"inputs_hash": state.inputs_hash, "fingerprint": state.fingerprint, "metadata": state.metadata}
        target.table(name).write(large, **facts)


def _add(parts: Parts, frames: list[pl.DataFrame]) -> None:
    """Write the frames as one part, and empty the list."""
    if frames:
        table = pl.concat(frames).to_arrow().select(parts.schema.names).cast(parts.schema)
        parts.add([column.combine_chunks() for column in table.columns], parts.next_commit()[1])
        frames.clear()


def settle(report: Path) -> None:
    """Materialise the graph so that everything is skipped, and keep the marks of all files as they are now."""
    from assets.engine import skip_unchanged

    memory, token = skip_unchanged._Memory, skip_unchanged._token
    read, asked, waiting = memory.read, [], []

    def noted(*args) -> str | None:
        mark = token(*args)
        for own, kept in waiting:  # an asset that was just accepted asks for the mark of what it makes
            memory.write(own, {**kept, "made": mark})
        waiting.clear()
        asked.append(mark)
        return mark

    def accepted(own) -> dict:
        kept = read(own)
        if "reads" in kept:
            kept["reads"] = asked[-1]
            memory.write(own, kept)
            waiting.extend([(own, kept)] if "made" in kept else [])
        return {**kept, **{name: _AlwaysEqual() for name in ("reads", "made") if name in kept}}

    skip_unchanged._token, memory.read = noted, accepted
    run_graph(report)


def main() -> int:
    """Make the large store, unless it is there, and run and show a night; return 1 if an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, help="folder of a finished size of tests.benchmarks.scaling")
    parser.add_argument("--videos", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="kept: data set and large store; default: in --store")
    parser.add_argument("--settle", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.settle:
        settle(args.settle)
        return 0
    folder = args.folder or args.store / "large"
    source, made = Store(args.store / "store"), folder / "made"
    held = len(source.stages()["videos"].states())
    times = -(-args.videos // held)
    if not made.exists():
        shutil.rmtree(folder, ignore_errors=True)
        write_set(folder / "data", held * times)
        for name in ("artifacts", "settled", "logs"):
            shutil.copytree(source.root / name, folder / "store" / name)
        shutil.copytree(args.store / "results", folder / "results")
        enlarge(source, Store(folder / "store"), held, times)
        run_night(
            folder, folder / "settle.json", options_of(folder / "data"), "tests.benchmarks.large_idle_night", "--settle"
        )
        made.touch()
    report = run_night(folder, folder / "night.json", options_of(folder / "data"))
    log = Store(folder / "store").log("runs").read()
    last = log.filter(pl.col("run_id") == log.sort("finished_at")["run_id"][-1])
    stages, peak = report["stages"], report["peak_gib"] * 2**30
    for name in sorted(stages, key=lambda name: -stages[name]["cpu"]):
        print(f"{name:24s}{stages[name]['cpu']:8.2f}")
    cpu = beyond_startup(report)
    print(
        f"{held * times:,} videos, {last['computed'].sum()} rows computed: {cpu:.1f} CPU s beyond start-up, {peak / 1e9:.2f} GB"
    )
    return 0 if cpu <= SECONDS and peak <= BYTES and not last["computed"].sum() else 1


if __name__ == "__main__":
    sys.exit(main())
