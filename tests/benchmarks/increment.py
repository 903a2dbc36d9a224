"""CPU seconds of a night, stage by stage: a first run, a run with nothing new, a run with 1 % new videos.

    python -m tests.benchmarks.increment [--videos 2000] [--more 20] [--width 32] [--epochs 1] [--folder FOLDER]

Each run is a process of its own. It materialises the whole graph and records each stage's CPU seconds, checks and worker
processes included. `start-up` is what comes before the first stage. The set has feedback and
imported features, so that no encoder's cost hides the pipeline's own. One model and one pass of training keep the first
run short; a longer training makes the increment's share smaller.

Aims: nothing new takes under 30 CPU seconds beyond start-up at 100,000 videos and computes no row; the increment
computes `--more` rows in each per-video stage and, from 20,000 videos on, takes under 15 % of the first run beyond
start-up. With fewer videos, most of its cost does not depend on their number.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from storage.store import Store
from tests.benchmarks.night import run_night

HOUR = 3_600_000
START = 1_780_000_000_000
IMPORTED = ("visual_embeddings", "acoustic_embeddings", "text_embeddings", "retrieval_vectors")
PER_VIDEO = ("videos", *IMPORTED, "temporal_embeddings")
IDLE_LIMIT, IDLE_LIMIT_AT = 30.0, 100_000  # CPU seconds beyond start-up, at how many videos
SHARE_LIMIT, SHARE_LIMIT_FROM = 0.15, 20_000  # part of the first run, from how many videos on


def write_set(folder: Path, *, videos: int, width: int) -> None:
    """Write feedback and features of the first `videos` videos. A video's data do not depend on their number."""
    rows, events, features = [], [], {name: np.empty((videos, width), np.float32) for name in IMPORTED}
    for row in range(videos):
        random = np.random.default_rng([7, row + 1])
        published = START + int(random.uniform(0, 40 * 24)) * HOUR
        big = float(random.lognormal(2.5, 0.8))
        rows.append((str(row + 1), f"title {row + 1}", published))
        hours = np.sort(random.exponential(30.0, size=int(random.poisson(big)) + 1))
        events += [(str(row + 1), "comment", published + int(hour * HOUR)) for hour in hours]
        for values in features.values():
            values[row] = random.standard_normal(width, dtype=np.float32) + np.log(big)
    events.append(("1", "comment", START + 80 * 24 * HOUR))
    folder.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(rows, schema=["item", "title", "published_at"], orient="row").write_csv(folder / "videos.csv")
    pl.DataFrame(events, schema=["item", "type", "time"], orient="row").write_csv(folder / "events.csv")
    for name, values in features.items():
        np.save(folder / f"{name}.npy", values)
        (folder / f"{name}.ids.txt").write_text("\n".join(item for item, *_ in rows))


def run(folder: Path, *, epochs: int) -> dict[str, object]:
    """Run the graph in a process of its own, and return its report."""
    options = {
        "PROCESS__MAX_EPOCHS": str(epochs),
        "MODEL__MAX_EPOCHS": str(epochs),
        "MODEL__SEEDS": "[0]",
        **{f"IMPORTS__{name.upper()}": str(folder / "data" / f"{name}.npy") for name in IMPORTED},
    }
    report = run_night(folder, folder / "report.json", options)
    return {"seconds": {name: cost["cpu"] for name, cost in report["stages"].items()}, "peak_gib": report["peak_gib"]}


def computed(store: Path, since: str | None) -> tuple[dict[str, int], str]:
    """Return the rows computed per asset in the runs after `since`, and the time of the last run."""
    log = Store(store).log("runs").read().sort("finished_at")
    if since is not None:
        log = log.filter(pl.col("finished_at") > pl.lit(since).str.to_datetime(time_zone="UTC"))
    counts = dict(log.group_by("asset", maintain_order=True).agg(pl.col("computed").sum()).iter_rows())
    return counts, log["finished_at"].max().isoformat()


def main() -> int:
    """Run the three nights and print them side by side; return 1 if an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=2000)
    parser.add_argument("--more", type=int, help="new videos of the increment; 1 %% where not given")
    parser.add_argument("--width", type=int, default=32, help="numbers in an imported vector")
    parser.add_argument("--epochs", type=int, default=1, help="passes of the process's and the model's training")
    parser.add_argument("--folder", type=Path, help="kept, and a store that is in it goes on being used")
    args = parser.parse_args()
    more = args.more or max(args.videos // 100, 1)
    folder = args.folder or Path(tempfile.mkdtemp(prefix="reelcast-increment-"))
    store, since, reports, rows = folder / "store", None, {}, {}
    for name, videos in (
        ("first", args.videos),
        ("nothing new", args.videos),
        ("increment", args.videos + more),
    ):
        write_set(folder / "data", videos=videos, width=args.width)
        reports[name] = run(folder, epochs=args.epochs)
        rows[name], since = computed(store, since)
    return show(reports, rows, videos=args.videos, more=more, folder=args.folder)


def show(reports: dict, rows: dict, *, videos: int, more: int, folder: Path | None) -> int:
    """Print CPU seconds, rows and the aims."""
    for title, table in (("CPU seconds", {name: found["seconds"] for name, found in reports.items()}), ("rows", rows)):
        print(f"{title:24s}" + "".join(f"{name:>14s}" for name in table))
        number = "14,.1f" if title == "CPU seconds" else "14,d"
        for stage in table["first"]:
            print(f"{stage:24s}" + "".join(f"{found.get(stage, 0):{number}}" for found in table.values()))
        print()
    beyond = {name: sum(found["seconds"].values()) - found["seconds"]["start-up"] for name, found in reports.items()}
    peaks = ", ".join(f"{name} {found['peak_gib']:.1f}" for name, found in reports.items())
    share = beyond["increment"] / beyond["first"]
    print("beyond start-up         " + "".join(f"{value:14,.1f}" for value in beyond.values()))
    print(f"peak memory, GiB: {peaks}; increment: {share:.1%} of the first run beyond start-up")
    exact = all(rows["increment"].get(name) == more for name in PER_VIDEO)
    idle = not any(rows["nothing new"].values())
    print(f"{more} rows in each per-video stage: {exact}; nothing computed where nothing is new: {idle}")
    quick = beyond["nothing new"] <= IDLE_LIMIT * max(videos / IDLE_LIMIT_AT, 1)
    small = share <= SHARE_LIMIT or videos < SHARE_LIMIT_FROM
    return 0 if exact and idle and quick and small else 1


if __name__ == "__main__":
    sys.exit(main())
