"""Cost of a store in a bucket against one in a folder: seconds, requests and bytes of a first run and of one with nothing new.

    python -m tests.benchmarks.remote_store --endpoint http://127.0.0.1:9000 [--videos 200] [--epochs 1]

The bucket `bench` must exist. Each run is a process of its own. A second worker with an empty folder then reads every table and
compares it with the folder's. Requests of worker processes are not counted; none of them writes to the store.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import uuid
from pathlib import Path

import numpy as np
import pyarrow as pa

from storage.arrays import fixed
from storage.remote.connection import connect, remote_of
from storage.rows import Row
from storage.store import Store
from tests.benchmarks.increment import IMPORTED, write_set
from tests.benchmarks.night import run_graph, run_night


def run(folder: Path, path: str, options: dict[str, str], *, videos: int, epochs: int) -> dict[str, object]:
    """Run the graph in a process of its own on a small set, and return its seconds, requests and bytes."""
    write_set(folder / "data", videos=videos, width=32)
    chosen = {
        "STORE__PATH": path,
        "STORE__CACHE": str(folder / "cache"),
        "STORE__OPTIONS": json.dumps(options),
        "PROCESS__MAX_EPOCHS": str(epochs),
        "MODEL__MAX_EPOCHS": str(epochs),
        "MODEL__SEEDS": "[0]",
        "MODEL__TRAIN": '["m3tr"]',
        **{f"IMPORTS__{name.upper()}": str(folder / "data" / f"{name}.npy") for name in IMPORTED},
    }
    return run_night(folder, folder / "report.json", chosen, "tests.benchmarks.remote_store", "--report")


def report_run(report: Path) -> None:
    """Run the graph in this process, and add its seconds, requests and bytes to the report."""
    from pipeline.settings import load

    run_graph(report)
    facts = json.loads(report.read_text(encoding="utf-8"))
    stages = [costs for name, costs in facts["stages"].items() if name != "start-up"]
    facts |= {name: sum(costs[name] for costs in stages) for name in ("cpu", "seconds")}
    remote = remote_of(load().store_folder())
    if remote is not None:
        facts |= {"sent": dict(remote.objects.sent), "moved": dict(remote.objects.moved)}
    report.write_text(json.dumps(facts), encoding="utf-8")


def show(name: str, facts: dict) -> None:
    """Print one run."""
    sent, moved = facts.get("sent", {}), facts.get("moved", {})
    requests = ", ".join(f"{operation} {count:,}" for operation, count in sorted(sent.items()))
    volume = f"{sum(moved.values()) / 2**20:.2f} MiB" if moved else ""
    seconds = f"cpu {facts['cpu']:7.1f} s   wall {facts['seconds']:7.1f} s"
    print(f"{name:26s} {seconds}   {sum(sent.values()):,} requests {volume}  {requests}", flush=True)


def one_commit(url: str, options: dict[str, str], folder: Path) -> None:
    """Print the requests, bytes and seconds of the commit of 200 rows of 768 numbers, in the bucket and in a folder."""
    payload = pa.schema([fixed("embedding", [768], "float16")])
    numbers = np.random.default_rng(0).standard_normal((200, 768)).astype(np.float16)
    for name, store in (
        ("bucket", Store(connect(url, cache=folder / "one", options=options))),
        ("folder", Store(folder / "one-folder")),
    ):
        stage = store.stage("vectors", payload)
        remote, seconds = remote_of(store.root), []
        for shard in range(11):
            rows = [Row.ok(f"{shard}-{row}", "h", {"embedding": vector}) for row, vector in enumerate(numbers)]
            if remote is not None:
                remote.objects.sent.clear()
                remote.objects.moved.clear()
            started = time.monotonic()
            stage.commit(rows, fingerprint="f")
            seconds.append(time.monotonic() - started)
        spent = "" if remote is None else f"{dict(remote.objects.sent)} {dict(remote.objects.moved)} bytes"
        print(f"commit of 200 rows, {name}: median {sorted(seconds)[5] * 1000:.1f} ms {spent}")


def main() -> None:
    """Run both stores and print them side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--endpoint")
    parser.add_argument("--videos", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--report", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.report:
        report_run(args.report)
        return
    options = {"endpoint": args.endpoint, "region": "us-east-1", "allow_http": "true"}
    url = f"s3://bench/{uuid.uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        one_commit(f"{url}-commit", options, folder)
        costs = {"videos": args.videos, "epochs": args.epochs}
        for name in ("first run", "nothing new", "nothing new again"):
            show(f"{name}, folder", run(folder / "disk", str(folder / "disk" / "store"), {}, **costs))
            show(f"{name}, bucket", run(folder / "bucket", url, options, **costs))
        disk = Store(folder / "disk" / "store")
        second = Store(connect(url, cache=folder / "second", options=options))
        tables = disk.names("tables")
        same = [name for name in tables if disk.table(name).read().equals(second.table(name).read())]
        print(f"tables: {len(same)} of {len(tables)} equal; other: {sorted(set(tables) - set(same))}")


if __name__ == "__main__":
    main()
