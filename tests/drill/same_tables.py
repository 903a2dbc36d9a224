"""The same tables on one machine and on a cluster, shown by one command.

    python -m tests.drill.same_tables [--videos 48] [--folder FOLDER]

Makes a demonstration set, runs `reelcast run` on it in one process with its store on the disk, then again with PostgreSQL, a
Ray head and two workers as processes of their own (`deploy.local_cluster`), and compares the two stores row by row.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from deploy.local_cluster import LocalCluster
from tests.drill.compare import differences

SETTINGS = {"RUN__SHARD_SIZE": "4", "SAMPLING__FRAMES": "2", "MODEL__SEEDS": "[0]", "STORE__MIN_FREE_MB": "0"}
RUN = [sys.executable, "-m", "pipeline.command_line", "run"]
ON_CLUSTER = {"RUN__EXECUTOR": "ray", "DAGSTER__STORAGE": "postgres"}


def make_data(folder: Path, videos: int) -> None:
    """Make a demonstration set."""
    command = [sys.executable, "-m", "pipeline.demonstration", str(folder), "--videos", str(videos), "--uploads", "3"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def environment(settings: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a run: the caller's without other settings, the settings, and further variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("REELCAST_", "DAGSTER_"))}
    return kept | {f"REELCAST_{name}": value for name, value in settings.items()} | dict(variables)


def run(data: Path, store: Path, settings: Mapping[str, str], variables: Mapping[str, str]) -> str:
    """Run the whole graph by `reelcast run`; return what it printed.

    Raises:
        RuntimeError: The run failed.
    """
    given = {**settings, "DATA__FOLDER": str(data), "STORE__PATH": str(store), "STORE__RESULTS": f"{store}-results"}
    done = subprocess.run(
        RUN,
        env=environment(given, variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"the run ended with {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout


def parts_of(store: Path) -> dict[str, Counter[str]]:
    """Return, per stage, how many parts were committed and how many items have rows in two of them."""
    found = {}
    for stage in sorted((store / "stages").iterdir()):
        parts = [pl.read_parquet(file, columns=["item"]) for file in stage.glob("parts/*/*/*.parquet")]
        items = pl.concat(parts)["item"]
        found[stage.name] = Counter(
            parts=sum(len(part) > 0 for part in parts), doubled=int(items.is_duplicated().sum())
        )
    return found


def main() -> int:
    """Run both, compare, and return 0 if nothing differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=48)
    parser.add_argument("--folder", type=Path, help="where data and stores lie; a temporary folder by default")
    parser.add_argument(
        "--settings", type=json.loads, default={}, help="further settings as JSON, SECTION__FIELD to text"
    )
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="same-tables-"))
    data, one, other = folder / "data", folder / "one", folder / "cluster"
    settings = {**SETTINGS, **options.settings}
    if not data.exists():
        make_data(data, options.videos)
    seconds = {}
    if not one.exists():
        started = time.monotonic()
        run(data, one, settings, {})
        seconds["one process"] = time.monotonic() - started
    with LocalCluster(s3=False) as cluster:
        started = time.monotonic()
        run(data, other, {**settings, **ON_CLUSTER}, cluster.variables)
        seconds["cluster"] = time.monotonic() - started
    found = differences(other, one)
    for name, counted in parts_of(other).items():
        print(f"{name}: {counted['parts']} parts, {counted['doubled']} rows of an item that has another row")
    print(", ".join(f"{name}: {value:.0f} s" for name, value in seconds.items()))
    print("\n".join(found) or "no row, table, artifact or forecast differs")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
