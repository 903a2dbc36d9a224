"""The demonstration job over a whole cluster whose parts are killed and whose requests fail, by a seed.

    python -m tests.drill.cluster_faults --faults 200 --seed 0 [--kills 5] [--share 0.02] [--only N]

A Ray head, two workers, PostgreSQL and an S3 server run as processes of one machine (`deploy.local_cluster`). Each worker has a
local folder that no other process sees, so that rows travel through the bucket alone. `tests.drill.faulty_proxy` stands before
the S3 server. Each trial runs `reelcast run` into an empty part of the bucket. While it runs,

    worker1, worker2     a worker is killed with all its processes, and another one takes its place
    head                 Ray's head is killed, and with it the cluster, which starts again
    postgres             the database is killed and starts again
    s3                   the S3 server answers nothing for some seconds
    run                  `reelcast run` is killed with all its processes

and some of the requests fail in the ways of the proxy. A run that ends with an error is started again, as a person or the next
night would. Then another machine with an empty local folder must read from the bucket what one process stored on a disk.

A kill comes with the n-th request to the S3 server, so `--seed S --only N` repeats trial N with the same faults at the same
requests. The order of requests of several workers still differs from run to run.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import queue
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from deploy.local_cluster import LocalCluster
from storage.remote.connection import connect
from storage.store import Store
from tests.drill import same_tables
from tests.drill.__main__ import QUICK
from tests.drill.compare import differences
from tests.drill.faulty_proxy import FaultyProxy
from tests.drill.run import ended, kill_session

VICTIMS = ("worker1", "worker2", "head", "postgres", "s3", "run")
SETTINGS = {**QUICK, "STORE__MIN_FREE_MB": "0", "BANK__SHARDS": "2"}
AWAY_SECONDS = 8.0  # how long the S3 server does not answer
LIMIT = 1200.0  # seconds after which a run counts as hung
RUNS = 12


class Proxy(FaultyProxy):
    """The proxy, with requests at which a part of the cluster is killed.

    Attributes:
        struck: Victims whose request has come, in that order.
    """

    def __init__(self, target: str):
        """Listen; without a fault until `begin`."""
        super().__init__(target, seed=0, share=0.0, seconds=1.0)
        self.struck: queue.Queue[str] = queue.Queue()
        self._kills: dict[int, str] = {}
        self._away_until = 0.0

    def begin(self, seed: int, share: float, kills: Mapping[int, str]) -> None:
        """Count requests from 0 again, with other faults.

        Args:
            seed: Seed of the faults of requests.
            share: Share of the requests that fail.
            kills: Number of a request -> the victim that is killed with it.
        """
        with self._lock:
            self.count, self.faults, self._kills = 0, [], dict(kills)
            self._seed, self._share = seed, share

    def leave(self, seconds: float) -> None:
        """Answer nothing for so many seconds."""
        self._away_until = time.monotonic() + seconds

    def next_fault(self, method: str, path: str) -> str | None:
        """Count a request, and return its fault."""
        if time.monotonic() < self._away_until:
            return "timeout"
        number, fault = self.count, super().next_fault(method, path)
        for passed in [at for at in self._kills if at <= number]:
            with suppress(KeyError):  # another thread was first
                self.struck.put(self._kills.pop(passed))
        return fault


class Drill:
    """The cluster, the data, and what each trial must end as."""

    def __init__(self, folder: Path, cluster: LocalCluster, proxy: Proxy, videos: int):
        """Make the data, and run once in one process on a disk.

        Args:
            folder: An empty folder.
            cluster: The running cluster.
            proxy: The proxy before its S3 server.
            videos: Number of videos.
        """
        self._folder, self._cluster, self._proxy = folder, cluster, proxy
        self.expected, self.local = folder / "disk", folder / "local"
        self.killed: list[str] = []
        same_tables.make_data(folder / "data", videos)
        same_tables.run(folder / "data", self.expected, SETTINGS, {})

    def run(self, url: str, local: Path) -> tuple[int, str]:
        """Run `reelcast run` while parts of the cluster are killed as their requests come.

        Args:
            url: The store in the bucket.
            local: The local folder of the store.

        Returns:
            Exit code, and what was printed.

        Raises:
            TimeoutError: The run did not end; it is killed.
        """
        given = {
            **SETTINGS,
            **same_tables.ON_CLUSTER,
            "DATA__FOLDER": str(self._folder / "data"),
            "STORE__PATH": url,
            "STORE__CACHE": str(local),
            "STORE__RESULTS": str(self._folder / "results"),
        }
        log = self._folder / "run.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                same_tables.RUN,
                env=same_tables.environment(given, self._cluster.variables),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        done = threading.Event()
        executioner = threading.Thread(target=self._strike, args=(process.pid, done))
        executioner.start()
        try:
            code = ended(process.pid, within=LIMIT)
        finally:
            done.set()
            executioner.join()
            kill_session(process.pid)
        return code, log.read_text(errors="replace")

    def _strike(self, run: int, done: threading.Event) -> None:
        while not done.is_set():
            with suppress(queue.Empty):
                victim = self._proxy.struck.get(timeout=0.1)
                self.killed.append(victim)
                if victim == "run":
                    kill_session(run)
                elif victim == "s3":
                    self._proxy.leave(AWAY_SECONDS)
                else:
                    self._cluster.restart(victim)

    def trial(self, number: int, seed: int, kills: int, share: float, requests: int) -> list[str]:
        """Break runs into an empty part of the bucket until one ends well, and compare.

        Args:
            number: Number of the trial.
            seed: Seed of the drill.
            kills: How many parts are killed.
            share: Share of the requests that fail.
            requests: Number of requests of a run without a fault.

        Returns:
            What is wrong, a line each.
        """
        choose = random.Random(f"{seed}:{number}")
        at = choose.sample(range(requests), k=kills)
        self._proxy.begin(seed * 10_000 + number, share, {when: choose.choice(VICTIMS) for when in at})
        self.killed.clear()
        url = f"s3://reelcast/trial-{number}"
        for attempt in range(RUNS):
            try:
                code, told = self.run(url, self.local / f"trial-{number}")
            except TimeoutError as error:
                return [str(error)]
            print(f"trial {number}, run {attempt + 1}: exit code {code}; killed so far: {self.killed}", flush=True)
            if code == 0:
                break
            print("    " + "\n    ".join(told.strip().splitlines()[-6:]), flush=True)
        else:
            return [f"{RUNS} runs ended with an error"]
        return self.compare(url, self._folder / f"reader-{number}")

    def compare(self, url: str, local: Path) -> list[str]:
        """Read the bucket as another machine does, without the proxy, and compare with the disk.

        Args:
            url: The store in the bucket.
            local: An empty folder.
        """
        options = {"endpoint": self._cluster.s3_url, "allow_http": "true", "region": "us-east-1"}
        reader = Store(connect(url, cache=local, options=options))
        reader.fetch()
        wrong = differences(reader.root, self.expected)
        for name, counted in same_tables.parts_of(reader.root).items():
            if counted["doubled"]:
                wrong.append(f"{name}: {counted['doubled']} rows of an item that has another row")
        return wrong


def main() -> int:
    """Break, compare, and return 0 if nothing was lost, doubled or changed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=200, help="faults after which no further trial begins")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kills", type=int, default=5, help="parts of the cluster that each trial kills")
    parser.add_argument("--share", type=float, default=0.02, help="share of the requests that fail")
    parser.add_argument("--videos", type=int, default=16)
    parser.add_argument("--only", type=int, help="run this trial only")
    args = parser.parse_args()
    counts: collections.Counter[str] = collections.Counter()
    bad = trials = 0
    with tempfile.TemporaryDirectory(prefix="reelcast-cluster-") as name:
        folder = Path(name)
        (folder / "local").mkdir()
        cluster = LocalCluster(own_folder=folder / "local")
        proxy = Proxy(cluster.s3_url)
        cluster.variables["AWS_ENDPOINT_URL"] = proxy.url
        threading.Thread(target=proxy.serve_forever, args=(0.01,), daemon=True).start()
        with cluster:
            os.environ.update({name: value for name, value in cluster.variables.items() if name.startswith("AWS_")})
            drill = Drill(folder, cluster, proxy, args.videos)
            code, told = drill.run("s3://reelcast/clean", drill.local / "clean")
            if code:
                raise RuntimeError(f"the run without a fault ended with {code}:\n{told[-4000:]}")
            requests = proxy.count
            wrong = drill.compare("s3://reelcast/clean", folder / "reader")
            print(f"without a fault: {requests} requests", json.dumps(wrong), flush=True)
            bad += bool(wrong)
            while args.only is not None or counts.total() < args.faults:
                number = trials if args.only is None else args.only
                wrong = drill.trial(number, args.seed, args.kills, args.share, requests)
                counts.update(fault for *_, fault in proxy.faults)
                counts.update(drill.killed)
                trials, bad = trials + 1, bad + bool(wrong)
                print(
                    f"trial {number}: {len(proxy.faults)} requests failed; {wrong or 'as without a fault'}", flush=True
                )
                if args.only is not None:
                    break
        proxy.shutdown()
    print(f"{counts.total()} faults ({dict(counts)}) in {trials} trials: {bad} wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
