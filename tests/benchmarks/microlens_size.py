"""The whole graph on generated files of MicroLens-100k's size: time per step, CPU time, and the peak memory of all processes.

    python -m tests.benchmarks.microlens_size [--items 19738] [--seeds 3] [--rows 1] [--folder FOLDER]

The folder has the file names of MicroLens-100k as downloaded, and no videos: `MicroLens-100k_pairs.csv` with 719,405
comments, titles, likes and views, categories, and `extracted_modality_features/` with the published widths (VideoMAE 768,
BGE-M3 1,024). With `--rows 10`, frames and sound have ten vectors of 768 per item, as the paper's encoders give them.
`--seeds` and `--epochs` shorten the training.

Aim: within 30 minutes and 8 GB on two cores, training of all seeds included.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from tests.benchmarks.peak_memory import TreePeak

PREFIX = "MicroLens-100k"
ITEMS, EVENTS, USERS = 19_738, 719_405, 100_000
MINUTES, GIGABYTES = 30, 8
HOUR = 3_600_000
LATEST_HOURS = 90 * 24  # no comment comes later
START, END = 1_640_995_200_000, 1_704_067_200_000  # 2022 and 2023
FEATURES = {
    "visual_embeddings": ("video_features_VideoMAE", 768),
    "acoustic_embeddings": ("audio_features", 768),
    "text_embeddings": ("title_en_text_features_BgeM3", 1024),
}
WORDS = ["cat", "dance", "music", "food", "travel", "game", "funny", "love", "street", "night", "water", "baby"]
STEP = re.compile(r'Finished execution of step "(.+?)" in ([\d.]+)(ms|s|m|h)')
SIGNAL = 0.3  # of the log count along the planted direction; the noise has a standard deviation of 1


def write_set(folder: Path, *, items: int, rows: int) -> dict[str, Path]:
    """Write the set, unless the folder has it, and return the imported files by stage.

    Counts are log-normal, and each item's comments come at log-normal delays after its publication. Vectors are random, plus
    the item's log count along one direction, so that there is something to learn.

    Args:
        folder: Folder of the set.
        items: Number of items; the number of comments is in proportion to it.
        rows: Vectors of frames and of sound per item. With one, there is no sound, as in the set as downloaded.
    """
    names = [name for name in FEATURES if rows > 1 or name != "acoustic_embeddings"]
    extracted = folder / "extracted_modality_features"
    files = {name: extracted / f"{PREFIX}_{FEATURES[name][0]}.npy" for name in names}
    if (folder / "complete").exists():
        return files
    extracted.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    events = round(EVENTS * items / ITEMS)
    share = random.lognormal(0, 1.1, items)
    counts = 1 + random.multinomial(events - items, share / share.sum())
    published = random.integers(START, END, items)
    item = np.repeat(np.arange(items), counts)
    delays = np.minimum(random.lognormal(np.log(30), 1.8, events), LATEST_HOURS)
    times = (published[item] + delays * HOUR).astype(np.int64)
    users = random.zipf(1.3, events) % round(USERS * items / ITEMS)
    order = random.permutation(events)
    pairs = pl.DataFrame({"user": users[order] + 1, "item": item[order] + 1, "timestamp": times[order]})
    pairs.write_csv(folder / f"{PREFIX}_pairs.csv")
    histories = pairs.sort("timestamp").group_by("user", maintain_order=True).agg(pl.col("item").cast(pl.String))
    histories.with_columns(pl.col("item").list.join(" ")).write_csv(
        folder / f"{PREFIX}_pairs.tsv", include_header=False, separator="\t"
    )
    titles = [" ".join(words) for words in random.choice(WORDS, (items, 8))]
    pl.DataFrame({"item": np.arange(items) + 1, "title": titles}).write_csv(
        folder / f"{PREFIX}_title_en.csv", include_header=False
    )
    pl.DataFrame({"item": np.arange(items) + 1, "tag": random.choice(WORDS, items)}).write_csv(
        folder / "tags_to_summary.csv", include_header=False
    )
    likes = np.round(counts * random.lognormal(3, 0.5, items)).astype(np.int64)
    pl.DataFrame({"item": np.arange(items) + 1, "likes": likes, "views": likes * 20}).write_csv(
        folder / f"{PREFIX}_likes_and_views.txt", include_header=False, separator="\t"
    )
    for name, path in files.items():
        width = FEATURES[name][1]
        shape = (items, width) if rows == 1 or name == "text_embeddings" else (items, rows, width)
        values = random.standard_normal(shape, dtype=np.float32)
        direction = random.standard_normal(width)
        planted = SIGNAL * np.log(counts)[:, None] * (direction / np.linalg.norm(direction))
        values += planted.reshape(items, *[1] * (values.ndim - 2), width).astype(np.float32)
        np.save(path, values)
    (folder / "complete").touch()
    return files


def step_seconds(log: str) -> dict[str, float]:
    """Return the wall seconds of each step in a run's log, the slowest first."""
    seconds = {}
    for name, number, unit in STEP.findall(log):
        seconds[name] = float(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[unit]
    return dict(sorted(seconds.items(), key=lambda entry: -entry[1]))


def main() -> int:
    """Write the set, run the graph, print the table; 1 if an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--rows", type=int, default=1, help="vectors of frames and sound per item")
    parser.add_argument("--seeds", type=int, default=3, help="models per seeded predictor")
    parser.add_argument("--epochs", type=int, help="most passes of the process's and the predictors' training")
    parser.add_argument("--folder", type=Path, help="kept, and a store that is in it goes on being used")
    args = parser.parse_args()
    folder = args.folder or Path(tempfile.mkdtemp(prefix="reelcast-microlens-"))
    files = write_set(folder / "data", items=args.items, rows=args.rows)
    variables = {
        "REELCAST_DATA__FOLDER": str(folder / "data"),
        "REELCAST_STORE__PATH": str(folder / "store"),
        "REELCAST_MODEL__SEEDS": str(list(range(args.seeds))),
        "DAGSTER_HOME": str(folder / "home"),
        **{f"REELCAST_IMPORTS__{name.upper()}": str(path) for name, path in files.items()},
        "REELCAST_IMPORTS__RETRIEVAL_VECTORS": str(files["text_embeddings"]),
    }
    if args.epochs:
        variables |= {f"REELCAST_{section}__MAX_EPOCHS": str(args.epochs) for section in ("PROCESS", "MODEL")}
    (folder / "home").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "--select", "*", "-m", "pipeline.definitions"]
    started = time.perf_counter()
    with (folder / "run.log").open("w") as log:
        run = subprocess.Popen(command, env={**os.environ, **variables}, stdout=log, stderr=subprocess.STDOUT)
        peak = TreePeak(run.pid)
        while run.poll() is None:
            peak.look()
            time.sleep(2.0)  # a look reads all pages of the tree, which took an eighth of a core at twice a second
    minutes = (time.perf_counter() - started) / 60
    for name, seconds in step_seconds((folder / "run.log").read_text()).items():
        if seconds >= 1:
            print(f"{name:60s}{seconds:10.1f} s")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = (used.ru_utime + used.ru_stime) / 60
    gigabytes = peak.megabytes / 1024
    print(
        f"{args.items:,} items, {args.seeds} seeds: {minutes:.1f} min, {cpu:.1f} min of CPU, {gigabytes:.2f} GB at the peak"
    )
    if run.returncode:
        print(f"the run failed; see {folder / 'run.log'}")
    return 0 if not run.returncode and minutes <= MINUTES and gigabytes <= GIGABYTES else 1


if __name__ == "__main__":
    sys.exit(main())
