"""Cost of minibatches from the memory-mapped pack and from parquet, compared with the training step.

    python tests/benchmarks/training_pack.py [--videos 5000] [--folder DIR]

A store of features as the paper's encoders give them (10 x 768 for frames and for sound, some 12 x 1,024 for words,
64 x 64 for feedback); then minibatches of 64 random videos with 10 random neighbours each. Aim: the training step is the
bottleneck, not the reading.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from models.predictors import M3TR, Bank, M3TRConfig, Neighbourhood, Samples, VideoFeatures
from models.predictors.features import MODALITIES, PackedRows
from models.predictors.samples import minibatch
from models.predictors.training import joint_loss
from storage.arrays import fixed, ragged
from storage.pack import open_pack
from storage.rows import Row
from storage.store import Store

ROWS, NEIGHBOURS, BATCH = pa.field("rows", pa.int32()), 10, 64
STAGES = {
    "visual": pa.schema([fixed("embedding", (10, 768), "float16"), ROWS]),
    "acoustic": pa.schema([fixed("embedding", (10, 768), "float16"), ROWS]),
    "text": pa.schema([ragged("embedding", 1024, "float16")]),
    "temporal": pa.schema([fixed("embedding", (64, 64), "float32"), ROWS]),
}


def fill(store: Store, videos: int) -> float:
    """Write every stage in parts of 200 videos, as a run does, and return the seconds."""
    random, started = np.random.default_rng(0), time.perf_counter()
    for name, payload in STAGES.items():
        stage = store.stage(name, payload)
        for start in range(0, videos, 200):
            rows = []
            for number in range(start, min(start + 200, videos)):
                if name == "text":
                    made = {"embedding": random.standard_normal((int(random.integers(6, 19)), 1024), np.float32)}
                else:
                    shape = {"temporal": (64, 64)}.get(name, (10, 768))
                    made = {"embedding": random.standard_normal(shape, np.float32), "rows": shape[0]}
                rows.append(Row.ok(str(number), "h", made))
            stage.commit(rows, fingerprint="f")
    return time.perf_counter() - started


def batches(videos: int, count: int, *, seed: int) -> list[np.ndarray]:
    """Return the distinct videos of `count` minibatches with their neighbours."""
    random = np.random.default_rng(seed)
    return [np.unique(random.integers(0, videos, BATCH * (1 + NEIGHBOURS))) for _ in range(count)]


def forget(folder: Path) -> None:
    """Drop a folder's files from the page cache, so that they are read from the disk."""
    os.sync()
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as opened:
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=5000)
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument(
        "--folder", type=Path, default=None, help="where the store is written; a temporary folder if unset"
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as scratch:
        store = Store(Path(scratch) / "store")
        print(f"{asked.videos} videos into parquet: {fill(store, asked.videos):.1f} s")
        stages = {name: store.stage(name, payload) for name, payload in STAGES.items()}
        started = time.perf_counter()
        packs = {name: open_pack(store, stage) for name, stage in stages.items()}
        size = sum(pack.values.nbytes for pack in packs.values())
        seconds = time.perf_counter() - started
        print(f"packs made: {seconds:.1f} s, {size / 1e6:,.0f} MB, {size / 1e6 / seconds:.0f} MB/s")
        items = [str(number) for number in range(asked.videos)]
        stages["visual"].commit([Row.ok("0", "x", {"embedding": np.ones((10, 768)), "rows": 10})], fingerprint="f")
        started = time.perf_counter()
        packs["visual"] = open_pack(store, stages["visual"])
        print(f"one frame row changed, its pack made again: {time.perf_counter() - started:.1f} s")

        def rows(name: str) -> PackedRows:
            return PackedRows(
                packs[name].values, *packs[name].find(items), longest=packs[name].longest, keep=packs[name]
            )

        features = VideoFeatures(**{name: rows(name) for name in MODALITIES})
        row_bytes = sum(
            getattr(features, name).lengths * getattr(features, name).values[:1].nbytes for name in MODALITIES
        )

        forget(store.root)
        few, started = batches(asked.videos, 2, seed=0), time.perf_counter()
        for index in few:
            for stage in stages.values():
                stage.read(items=[items[row] for row in index])
        seconds = time.perf_counter() - started
        parquet = sum(row_bytes[index].sum() for index in few) / 1e6 / seconds
        print(f"parquet: {parquet:.1f} MB/s, {seconds / len(few):.2f} s a minibatch")
        for label in ("pack, first from disk", "pack, from memory"):
            if "disk" in label:
                forget(store.root)
            many, started = batches(asked.videos, asked.batches, seed=1), time.perf_counter()
            for index in many:
                features.batch(index)
            seconds = time.perf_counter() - started
            rate = sum(row_bytes[index].sum() for index in many) / 1e6 / seconds
            print(
                f"{label}: {rate:,.0f} MB/s, {seconds / len(many) * 1000:.1f} ms a minibatch, {rate / parquet:,.0f} times"
            )
        report_step(features, asked)


def report_step(features: VideoFeatures, asked: argparse.Namespace) -> None:
    """Print the time of whole training steps, and the part of it that is spent on the minibatch."""
    random, videos = np.random.default_rng(2), len(features)
    shape = (videos, NEIGHBOURS)
    names = np.arange(videos).astype(str)
    index = (np.arange(videos)[:, None] + random.integers(1, videos, shape)) % videos
    found = Neighbourhood(
        index, np.ones(shape, np.float32), np.ones(shape, bool), random.standard_normal((*shape, 1)).astype(np.float32)
    )
    samples = Samples(names, features, found, random.standard_normal((videos, 1)).astype(np.float32))
    bank = Bank(names, features)
    model = M3TR(M3TRConfig(), features.widths)
    for name in MODALITIES:
        model.standardise[name].fit_rows(getattr(features, name).take(np.arange(min(videos, 500))), name=name)
    optimiser, waited, total = torch.optim.AdamW(model.parameters()), [], []
    for _ in range(asked.batches):
        begun = time.perf_counter()
        batch = minibatch(samples, bank, random.permutation(videos)[:BATCH], with_feedback=False)
        waited.append(time.perf_counter() - begun)
        optimiser.zero_grad()
        joint_loss(model, batch, gamma=0.0)[0].backward()
        optimiser.step()
        total.append(time.perf_counter() - begun)
    step, share = np.median(total), np.sum(waited) / np.sum(total)
    print(
        f"training step of {BATCH} videos with {NEIGHBOURS} neighbours each, width {M3TRConfig().width}: "
        f"{step * 1000:.0f} ms, of which {share:.1%} is reading and arranging the minibatch"
    )


if __name__ == "__main__":
    main()
