"""Read the catalog in a loop during a full run: errors, and how long the readers wait.

    python -m tests.benchmarks.catalog_readers [--data FOLDER] [--readers 2]

Without --data, the benchmark makes a demonstration set of 60 videos. Each reader repeatedly opens the catalog file
read-only, counts the rows of every view and closes the file, from the catalog's first publication to the end of the
run. Waiting time excludes time in which a reader computes or queues for a core (/proc/thread-self/schedstat), because a
busy machine adds to that.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

LIMIT_MS = 100.0


def read(catalog: Path, until: Path) -> None:
    """Read in a loop, and print one JSON object: seconds per pass, waiting seconds per pass, errors."""
    import duckdb

    walls, waits, errors, rows = [], [], [], 0
    while not catalog.exists():
        time.sleep(0.01)
    while not until.exists():
        started, worked = time.perf_counter(), _schedule()
        try:
            with duckdb.connect(str(catalog), read_only=True, config={"threads": 1}) as connection:
                names = connection.sql("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
                for (name,) in names:
                    rows += connection.sql(f'SELECT count(*) FROM "{name}"').fetchone()[0]
        except Exception as error:
            errors.append(f"{type(error).__name__}: {error}"[:300])
        walls.append(time.perf_counter() - started)
        waits.append(walls[-1] - (_schedule() - worked))
        time.sleep(0.02)
    print(json.dumps({"walls": walls, "waits": waits, "errors": errors, "rows": rows}))


def _schedule() -> float:
    """Return the seconds that this thread has run or queued for a core."""
    running, queued, _ = Path("/proc/thread-self/schedstat").read_text().split()
    return (int(running) + int(queued)) / 1e9


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--readers", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        return measure(given.data, given.readers, Path(scratch))


def measure(data: Path | None, count: int, scratch: Path) -> int:
    if data is None:
        from pipeline.demonstration import make

        data = make(scratch / "data", videos=60, uploads=5, workers=2)
    store, done = scratch / "store", scratch / "done"
    variables = {
        "REELCAST_DATA__FOLDER": str(data),
        "REELCAST_STORE__PATH": str(store),
        "REELCAST_STORE__RESULTS": str(scratch / "results"),
    }
    names = f"Path({str(store / 'catalog.duckdb')!r}), Path({str(done)!r})"
    loop = f"from pathlib import Path; from tests.benchmarks.catalog_readers import read; read({names})"
    readers = [subprocess.Popen([sys.executable, "-c", loop], stdout=subprocess.PIPE, text=True) for _ in range(count)]
    from tests.drill.run import materialise

    started = time.monotonic()
    code = materialise(variables)
    seconds = time.monotonic() - started
    done.touch()
    found = [json.loads(reader.communicate()[0]) for reader in readers]
    walls = np.concatenate([one["walls"] for one in found]) * 1e3
    waits = np.concatenate([one["waits"] for one in found]) * 1e3
    errors = [error for one in found for error in one["errors"]]
    print(
        f"run: {seconds:.0f} s, exit {code}; {count} readers, {len(walls):,} passes over all views, {len(errors)} errors"
    )
    for name, values in (("a pass, wall ms", walls), ("of it waiting, ms", waits)):
        middle, most = np.quantile(values, [0.5, 0.99])
        print(f"{name:20s} median {middle:8.1f}   99 % {most:8.1f}   longest {values.max():8.1f}")
    for error in errors[:5]:
        print(error)
    return 1 if code or errors or waits.max() > LIMIT_MS else 0


if __name__ == "__main__":
    sys.exit(main())
