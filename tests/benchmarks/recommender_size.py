"""Time and memory of a set of MicroVideo-1.7M's size: ingest of the log, packing, and one pass of each recommender.

    python -m tests.benchmarks.recommender_size --folder FOLDER [--scale 0.1] [--models sasrec,mtin] [--passes 1] [--threads 1]

Writes a log in THACIL's form with random contents (10,986 users, 1.7 M items, 12.7 M exposures, 20 % clicks, 512-wide float16
vectors; `--scale` multiplies the numbers of users, items and exposures), reads and packs it as the asset `user_histories`
does, and fits recommenders to the publisher's training part: SASRec with the loss "bce", click models with the sizes that
MTIN's paper prints (128 wide, six groups, 160 clicks) and 64 exposures per history. Each step runs in a process of its own; its
seconds, CPU seconds and largest resident memory, with the pages of mapped files, are printed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import torch

from assets.audience.exposures import Exposures
from assets.audience.user_histories import keep_histories, open_histories
from models.recommender_table import recommender_class
from models.recommenders import HistorySplit
from storage.datasets.dataset import natural_order
from storage.datasets.exposure_log import open_exposure_log

USERS, ITEMS, EXPOSURES, WIDTH = 10_986, 1_704_880, 12_737_617, 512
SHARES = {"train": 0.704, "test": 0.296}  # of exposures, as published
BLOCK = 65_536
OPTIONS = {
    "sasrec": {"loss": "bce"},
    "mtin": {"groups": 6, "width": 128, "hidden": 128, "clicks": 160, "skips": 160, "block": 64},
}
CLICK_MODEL = {"width": 128, "clicks": 160, "block": 64}


def write_log(folder: Path, scale: float) -> None:
    """Write the two tables and the two arrays of vectors."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for part, share in SHARES.items():
        items, rows = int(ITEMS * share * scale), int(EXPOSURES * share * scale)
        late = 10**9 if part == "test" else 0
        item = np.r_[np.arange(items), rng.integers(0, items, rows - items)]
        frame = pl.DataFrame(
            {
                "user_id": rng.integers(0, max(1, int(USERS * scale)), rows),
                "item_id": rng.permutation(item),
                "cate_id": rng.integers(0, 512, rows),
                "is_click": (rng.random(rows) < 0.2).astype(np.int64),
                "timestamp": late + rng.integers(0, 10**9, rows),
            }
        )
        frame.write_csv(folder / f"{part}_data.csv")
        path = folder / f"{part}_cover_image_feature.npy"
        vectors = np.lib.format.open_memmap(path, "w+", np.float16, (items, WIDTH))
        for start in range(0, items, BLOCK):
            vectors[start : start + BLOCK] = rng.standard_normal(
                (len(vectors[start : start + BLOCK]), WIDTH), np.float32
            )
        vectors.flush()


def pack(folder: Path, packed: Path) -> None:
    """Read the log and write the memory-mapped histories."""
    log = open_exposure_log(folder)
    frame = log.frame.with_columns(
        (pl.col("value") >= log.click_from).alias("clicked"), pl.lit(False).alias("observed")
    )
    packed.mkdir(exist_ok=True)
    print(keep_histories(packed, Exposures(frame, natural_order(log.frame["item"].unique()), log)))


def train(packed: Path, name: str, options: argparse.Namespace) -> None:
    """Fit a recommender to the training part."""
    torch.set_num_threads(options.threads)
    histories, _, part, features = open_histories(packed)
    user = np.repeat(np.arange(len(histories)), np.diff(histories.start))
    counts = np.bincount(user[np.asarray(part) == 0], minlength=len(histories))
    split = HistorySplit(counts, np.empty(0, np.int64), np.empty(0, np.int64))
    model = recommender_class(name).from_options({"epochs": options.passes, **OPTIONS.get(name, CLICK_MODEL)})
    report = model.fit(histories, features, split, progress=lambda epoch: print(epoch, flush=True))
    print(
        f"{int(counts.sum()):,} training exposures, {report.parameters:,} parameters, "
        f"{report.seconds - sum(epoch.seconds for epoch in report.epochs):.0f} s beside the passes"
    )


def measured(name: str, step: Callable[..., None], *args: object) -> None:
    """Run a step in a process of its own and print what it took."""
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(name, step, *args))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(process.exitcode)


def _run(name: str, step: Callable[..., None], *args: object) -> None:
    started = time.perf_counter()
    step(*args)
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(
        f"{name}: {time.perf_counter() - started:.1f} s, {used.ru_utime + used.ru_stime:.1f} s of CPU, "
        f"{used.ru_maxrss / 2**20:.2f} GiB resident at most",
        flush=True,
    )


def main() -> None:
    """Run the steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--models", default="sasrec,mtin")
    parser.add_argument("--passes", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    log, packed = options.folder / "log", options.folder / "packed"
    if not log.exists():
        measured("write", write_log, log, options.scale)
    if not (packed / "users.npy").exists():
        measured("read and pack", pack, log, packed)
    for name in options.models.split(","):
        measured(name, train, packed, name, options)


if __name__ == "__main__":
    main()
