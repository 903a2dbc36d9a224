"""A bank of a million videos with its default index: recall against exact search, queries per second, build time, memory.

    python tests/benchmarks/large_bank.py [--members 1000000] [--index auto] [--shards 1] [--folder DIR]

Processor seconds are of all threads; on a machine that does other work too, only they can be compared.

The vectors are unit vectors in clusters whose sizes follow a power law: 5,000 clusters of content vectors with 256
dimensions, and 500 clusters of temporal vectors with 64. A video's two clusters are independent, so its neighbours by
content and by feedback differ, which is the hard case for a composite similarity. Queries come from the same clusters
and are not members. Aim: recall@10 of 0.95 at 500 queries per second on two cores.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import faiss
import numpy as np

from storage.artifact import Artifact
from storage.bank import MemoryBank, build
from storage.bank.neighbours import Queries
from storage.bank.recall_latency import recall
from storage.bank.search import search


def clustered(random: np.random.Generator, count: int, width: int, clusters: int, spread: float) -> np.ndarray:
    """Return unit vectors (count, width): a cluster's centre of length 1, plus noise of length `spread`."""
    centres = random.standard_normal((clusters, width), dtype=np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    share = np.arange(1, clusters + 1) ** -0.5
    cluster = random.choice(clusters, count, p=share / share.sum())
    made = np.empty((count, width), np.float32)
    for start in range(0, count, 100_000):
        part = slice(start, min(start + 100_000, count))
        noise = random.standard_normal((part.stop - start, width), dtype=np.float32) * np.float32(spread / width**0.5)
        made[part] = centres[cluster[part]] + noise
        made[part] /= np.linalg.norm(made[part], axis=1, keepdims=True)
    return made


def peak() -> float:
    """Return the largest resident memory so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (
        ("members", 1_000_000),
        ("queries", 2048),
        ("exact", 256),
        ("content", 256),
        ("temporal", 64),
        ("shards", 1),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--index", default="auto")
    parser.add_argument("--folder", type=Path, default=None, help="where the bank is written; temporary if unset")
    asked = parser.parse_args()
    random, count = np.random.default_rng(0), asked.members
    content = clustered(random, count + asked.queries, asked.content, 5000, 1.0)
    temporal = clustered(random, count + asked.queries, asked.temporal, 500, 0.7)
    everyone = np.ones(count, bool)
    print(
        f"{count:,} x ({asked.content} + {asked.temporal}), {faiss.omp_get_max_threads()} threads; data {peak():.1f} GB"
    )
    with tempfile.TemporaryDirectory(dir=asked.folder) as scratch:
        artifact, started, busy = Artifact(Path(scratch) / "memory_bank"), time.perf_counter(), time.process_time()
        version = build(
            artifact,
            items=[str(row) for row in range(count)],
            content=content[:count],
            content_mask=everyone,
            temporal=temporal[:count],
            temporal_mask=everyone,
            labels=np.zeros(count),
            label_times=None,
            groups=np.arange(count),
            versions={},
            index=asked.index,
            shards=asked.shards,
        )
        seconds, processor = time.perf_counter() - started, time.process_time() - busy
        sizes = {file.name: file.stat().st_size / 1e6 for file in version.path.glob("*.faiss")}
        print(
            f"built, calibrated and written in {seconds:.0f} s ({processor:.0f} s of processor), at the peak {peak():.1f} GB "
            "with the data"
        )
        print("files, MB: " + ", ".join(f"{name} {size:,.0f}" for name, size in sorted(sizes.items())))
        print(f"chosen: {version.metadata.get('lists') or version.metadata.get('shards', 'exact search')}")
        bank, here = MemoryBank(version), slice(count, None)
        given = {
            "content": content[here],
            "temporal": temporal[here],
            "query_items": [f"q{row}" for row in range(asked.queries)],
            "query_groups": np.full(asked.queries, -1),
        }
        bank.search(**given, size=10)
        rates, busy = [], time.process_time()
        for _ in range(3):
            started = time.perf_counter()
            found = bank.search(**given, size=10)
            rates.append(asked.queries / (time.perf_counter() - started))
        processor = (time.process_time() - busy) / (3 * asked.queries)
        few = slice(count, count + asked.exact)
        nobody = np.full(asked.exact, -1)
        has = np.ones(asked.exact, bool)
        queries, started = Queries(content[few], temporal[few], has, has, nobody, nobody, None), time.perf_counter()
        exact = search(bank._bank, queries, size=10)
        rate = asked.exact / (time.perf_counter() - started)
        print(
            f"recall@10 {recall(found.take(slice(0, asked.exact)), exact):.3f} at {np.median(rates):,.0f} queries/s "
            f"({min(rates):,.0f} to {max(rates):,.0f}), {1000 * processor:.2f} ms of processor each; exact search {rate:,.0f} "
            "queries/s"
        )
        quality = bank.quality(size=10)
        print(
            f"members as queries: recall {quality.recall:.3f}, single queries {quality.latency_ms:.1f} ms (95th percentile)"
        )


if __name__ == "__main__":
    main()
