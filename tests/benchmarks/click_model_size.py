"""Time and peak memory of one pass of a click model at the size of MicroVideo-1.7M, or at a share of it.

    python -m tests.benchmarks.click_model_size [--model mtin] [--share 0.1] [--block 64] [--folder FOLDER]

At share 1 the generated set has 10,986 users, 1,704,880 items with 512-wide float16 vectors and 12.7 million
exposures, of which a quarter are clicks; at a smaller share all three numbers are smaller. Its arrays lie on disk and
are memory-mapped. Printed are the seconds per part, exposures per second, and the peak of resident memory with the
pages of the maps that are in memory.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from models.recommender_table import recommender_class
from models.recommenders import ItemFeatures, UserHistories, by_share

USERS, ITEMS, EXPOSURES, WIDTH = 10_986, 1_704_880, 12_737_619, 512
BLOCK = 16_384
MTIN = {"width": 128, "hidden": 128, "groups": 6, "clicks": 160, "skips": 160}


def write(folder: Path, share: float) -> None:
    """Write the arrays of a set."""
    random = np.random.default_rng(0)
    users, items, exposures = (int(number * share) for number in (USERS, ITEMS, EXPOSURES))
    counts = random.multinomial(exposures, np.full(users, 1 / users))
    arrays = {
        "start": np.concatenate([[0], counts.cumsum()]),
        "item": (items * random.random(exposures, np.float32) ** 2).astype(np.int32).clip(max=items - 1),
        "clicked": random.random(exposures, np.float32) < 0.25,
        "time": np.concatenate([random.integers(0, 10**9, count).cumsum() for count in counts]),
    }
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)
    vectors = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float16, (items, WIDTH))
    for first in range(0, items, BLOCK):
        part = vectors[first : first + BLOCK]
        part[:] = random.standard_normal(part.shape, np.float32)
    vectors.flush()


def main() -> None:
    """Print the seconds per part and the peak of memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mtin")
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--block", type=int, default=64, help="exposures that share one history")
    parser.add_argument("--folder", type=Path, help="where the arrays lie; made there if they are missing")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        if not (folder / "vectors.npy").exists():
            write(folder, args.share)
        made = time.perf_counter()
        maps = {file.stem: np.load(file, mmap_mode="r") for file in folder.glob("*.npy")}
        users, items = len(maps["start"]) - 1, len(maps["vectors"])
        ids = (np.arange(users).astype(str), np.arange(items).astype(str))
        histories = UserHistories(*ids, *(maps[name] for name in ("start", "item", "time", "clicked")))
        split = by_share(histories, dev=0.0, test=0.3)
        options = {"epochs": 1, "block": args.block, **(MTIN if args.model == "mtin" else {})}
        model = recommender_class(args.model).from_options(options)
        report = model.fit(histories, ItemFeatures({"visual": maps["vectors"]}), split)
        epoch, peak = report.epochs[0], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{users:,} users, {items:,} items, {len(maps['item']):,} exposures, {split.train.sum():,} for training")
        print(f"made in {made - started:.0f} s; {torch.get_num_threads()} threads")
        print(f"start and end of the fit {report.seconds - epoch.seconds:.0f} s, the pass {epoch.seconds:.0f} s")
        rate = split.train.sum() / epoch.seconds
        print(f"{rate:,.0f} exposures/s, {report.parameters:,} parameters, peak {peak:,.0f} MiB")


if __name__ == "__main__":
    main()
