"""Cost of verifying the store's files: page checksums of a part, digests of an artifact, `check --deep`.

    OMP_NUM_THREADS=1 python tests/benchmarks/store_verification.py

Printed are CPU seconds, the smallest of several rounds. The files are in the system's page cache.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from storage.arrays import fixed
from storage.check import check_store
from storage.rows import Row
from storage.store import Store


def least(work: Callable[[], object], rounds: int) -> float:
    """Return the CPU seconds of the fastest of several rounds."""
    seconds = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return min(seconds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=8000, help="rows of 10 x 768 float32")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    pa.set_cpu_count(1)
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "store")
        stage = store.stage("vectors", pa.schema([fixed("embedding", (10, 768))]))
        vectors = random.standard_normal((options.rows, 10, 768)).astype(np.float32)
        stage.commit(
            [Row.ok(str(row), "h", {"embedding": vectors[row]}) for row in range(options.rows)], fingerprint="f"
        )
        part = next(file for file in stage.folder.glob("parts/*/*/*.parquet") if "empty" not in file.name)
        size = vectors.nbytes / 2**20
        print(f"a part of {options.rows:,} rows, {size:,.0f} MiB")
        for verify in (False, True):
            read = pq.ParquetFile(part, page_checksum_verification=verify).read
            print(
                f"  read, verified {verify!s:5}  {least(lambda read=read: read(use_threads=False), options.rounds):.3f} s"
            )
        print(f"  check           {least(lambda: list(check_store(store.root)), options.rounds):.3f} s")
        print(f"  check --deep    {least(lambda: list(check_store(store.root, deep=True)), 1):.3f} s")
        model = store.artifact("model")
        started = time.process_time()
        with model.new(inputs_hash="i", fingerprint="f") as made:
            vectors.tofile(made / "weights")
        print(f"an artifact of {size:,.0f} MiB, written with its digest  {time.process_time() - started:.3f} s")
        print(f"  its first use in a process, verified  {least(lambda: model.current(verify=True), 1):.3f} s")
        print(
            f"  every further use                     {least(lambda: model.current(verify=True), options.rounds):.6f} s"
        )


if __name__ == "__main__":
    main()
