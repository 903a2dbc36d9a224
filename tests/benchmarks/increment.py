"""What a night costs: 2,000 videos with imported features, then 20 more, then nothing new.

    python -m tests.benchmarks.increment [--videos 2000] [--more 20] [--width 768] [--folder FOLDER]

Each run is `dagster asset materialize --select '*'` in a process of its own, so that its start-up counts; the last run, with
nothing new, is what is fixed. Aims: the increment computes 20 rows a stage, and takes at most a tenth of the first run's
time plus what is fixed; where nothing changed no stage computes a row.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from storage.store import Store

HOUR = 3_600_000
START = 1_780_000_000_000
PER_ITEM = ("videos", "visual_embeddings", "acoustic_embeddings", "text_embeddings", "retrieval_vectors")


def write_set(folder: Path, *, videos: int, width: int) -> None:
    """Feedback and features of the first `videos` of an endless set: what an item is does not depend on how many there are."""
    rows, events, features = [], [], {name: [] for name in PER_ITEM[1:]}
    for number in range(1, videos + 1):
        random = np.random.default_rng([7, number])
        published = START + int(random.uniform(0, 40 * 24)) * HOUR
        big = float(random.lognormal(2.5, 0.8))
        rows.append((str(number), f"title {number}", published))
        hours = np.sort(random.exponential(30.0, size=int(random.poisson(big)) + 1))
        events += [(str(number), "comment", published + int(hour * HOUR)) for hour in hours]
        for made in features.values():
            made.append(random.standard_normal(width).astype(np.float32) + np.log(big))
    events.append(("1", "comment", START + 80 * 24 * HOUR))
    folder.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(rows, schema=["item", "title", "published_at"], orient="row").write_csv(folder / "videos.csv")
    pl.DataFrame(events, schema=["item", "type", "time"], orient="row").write_csv(folder / "events.csv")
    for name, made in features.items():
        np.save(folder / f"{name}.npy", np.stack(made))
        (folder / f"{name}.ids.txt").write_text("\n".join(item for item, *_ in rows))


def run(data: Path, store: Path) -> float:
    """Seconds of one run of the whole graph."""
    variables = {
        "REELCAST_DATA__FOLDER": str(data),
        "REELCAST_STORE__PATH": str(store),
        "REELCAST_STORE__RESULTS": str(store.parent / "results"),
        "DAGSTER_HOME": str(store.parent / "home"),
        "PYTHONPATH": str(Path.cwd()),
        **{f"REELCAST_IMPORTS__{name.upper()}": str(data / f"{name}.npy") for name in PER_ITEM[1:]},
    }
    Path(variables["DAGSTER_HOME"]).mkdir(exist_ok=True)
    command = ["dagster", "asset", "materialize", "-m", "pipeline.definitions", "--select", "*"]
    started = time.monotonic()
    with (store.parent / "run.log").open("w") as log:
        subprocess.run(command, env={**os.environ, **variables}, stdout=log, stderr=subprocess.STDOUT, check=True)
    return time.monotonic() - started


def computed(store: Path, since: str | None) -> tuple[dict[str, int], str]:
    """Rows computed by asset in the runs after `since`, and the last run's time."""
    log = Store(store).log("runs").read().sort("finished_at")
    if since is not None:
        log = log.filter(pl.col("finished_at") > pl.lit(since).str.to_datetime(time_zone="UTC"))
    counts = dict(log.group_by("asset", maintain_order=True).agg(pl.col("computed").sum()).iter_rows())
    return counts, log["finished_at"].max().isoformat()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=2000)
    parser.add_argument("--more", type=int, default=20)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="reelcast-increment-"))
    data, store, since, seconds, rows = folder / "data", folder / "store", None, {}, {}
    for name, videos in (
        ("first", given.videos),
        ("increment", given.videos + given.more),
        ("nothing new", given.videos + given.more),
    ):
        write_set(data, videos=videos, width=given.width)
        seconds[name] = run(data, store)
        rows[name], since = computed(store, since)
    print(f"{'rows computed':24s}" + "".join(f"{name:>14s}" for name in rows))
    for asset in rows["first"]:
        print(f"{asset:24s}" + "".join(f"{found.get(asset, 0):14,d}" for found in rows.values()))
    print(f"{'seconds':24s}" + "".join(f"{value:14.1f}" for value in seconds.values()))
    fixed, first = seconds["nothing new"], seconds["first"]
    allowed = fixed + (first - fixed) / 10
    print(
        f"increment: {seconds['increment']:.1f} s; fixed {fixed:.1f} s + a tenth of the rest of the first run: {allowed:.1f} s"
    )
    stages = [*PER_ITEM, "temporal_embeddings"]
    exact = all(rows["increment"].get(name) == given.more for name in stages)
    idle = not any(rows["nothing new"].values())
    print(f"{given.more} rows a stage: {exact}; nothing computed where nothing is new: {idle}")
    if given.folder is None:
        shutil.rmtree(folder)
    return 0 if exact and idle and seconds["increment"] <= allowed else 1


if __name__ == "__main__":
    sys.exit(main())
