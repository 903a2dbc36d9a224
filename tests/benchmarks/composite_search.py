"""Compare time and memory of the exact composite search with FAISS's exact search over the content part alone.

    python tests/benchmarks/composite_search.py [--members 20000] [--queries 20000] [--content 1024] [--temporal 64]

Every member of a bank of random unit vectors searches for its 10 most similar members. Both searches run in turns in
this process, on the same threads. Aim: at most 1.25 times FAISS's time, and less than 1 GB of memory beyond the
vectors.
"""

import argparse
import resource
import statistics
import time

import faiss
import numpy as np

from storage.bank.member_order import Bank
from storage.bank.neighbours import Queries
from storage.bank.search import search


def unit_vectors(random: np.random.Generator, count: int, width: int) -> np.ndarray:
    vectors = random.standard_normal((count, width), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("members", 20_000), ("queries", 20_000), ("content", 1024), ("temporal", 64), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    random = np.random.default_rng(0)
    content = unit_vectors(random, asked.members, asked.content)
    temporal = unit_vectors(random, asked.members, asked.temporal)
    everyone, numbers = np.ones(asked.members, bool), np.arange(asked.members)
    bank = Bank(content, temporal, everyone, everyone, numbers, None)
    asking = slice(0, asked.queries)
    queries = Queries(
        content[asking], temporal[asking], everyone[asking], everyone[asking], numbers[asking], numbers[asking], None
    )
    index = faiss.IndexFlatIP(asked.content)
    index.add(content)
    index.search(content[:1024], 10)

    before = peak_bytes()
    search(bank, queries, size=10)
    print(f"extra memory at the peak: {(peak_bytes() - before) / 1e6:.0f} MB")
    ratios = []
    for _ in range(asked.rounds):
        times = []
        for run in (lambda: index.search(content[asking], 10), lambda: search(bank, queries, size=10)):
            wall, processor = time.perf_counter(), time.process_time()
            run()
            times.append((time.perf_counter() - wall, time.process_time() - processor))
        (faiss_wall, faiss_processor), (wall, processor) = times
        ratios.append(wall / faiss_wall)
        print(
            f"FAISS content only {faiss_wall:.2f} s, composite {wall:.2f} s: {wall / faiss_wall:.2f} times the time, "
            f"{processor / faiss_processor:.2f} times the processor time"
        )
    print(f"median {statistics.median(ratios):.2f}, {asked.queries / wall:,.0f} queries a second")


if __name__ == "__main__":
    main()
