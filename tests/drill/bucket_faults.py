"""The small run over an S3 server whose requests fail by a seed: `tests.drill.faulty_proxy` stands before the server.

    python -m tests.drill.bucket_faults --faults 200 --seed 0 [--share 0.2]

Each trial makes both days of the small run in a bucket of its own, and repeats a day whose run ended with an error, as the next
night would. Another worker with an empty local folder must then read what a run without a fault gives. The S3 server is moto's
(`pip install 'moto[server]'`), a process on the loopback. A trial's seed is the drill's seed and its number, so
`--seed S --only N` runs trial N again: the n-th request gets the same fault.
"""

from __future__ import annotations

import argparse
import collections
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.durable import StoreError
from storage.remote import connection
from tests.drill.every_write import forget, quiet, unflushed
from tests.drill.faulty_proxy import FaultyProxy
from tests.drill.small_run import content, run

KEYS = {"AWS_ACCESS_KEY_ID": "drill", "AWS_SECRET_ACCESS_KEY": "drill"}
ONLY_TABLES = ("stage", "table", "artifact", "log")
RUNS = 10


@contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """Start an empty S3 server, and yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (folder / "moto.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log
        )
        url = f"http://127.0.0.1:{port}"
        try:
            until = time.monotonic() + 60
            while True:
                try:
                    urllib.request.urlopen(url, timeout=5)
                    break
                except OSError:
                    if time.monotonic() > until or server.poll() is not None:
                        raise
                    time.sleep(0.1)
            yield url
        finally:
            server.kill()
            server.wait()


class Trial:
    """Both days over a bucket of its own."""

    def __init__(self, folder: Path, server: str, name: str):
        """Make the bucket.

        Args:
            folder: An empty folder for the workers' local folders.
            server: Address of the S3 server.
            name: Name of the bucket.
        """
        self._folder, self._server, self._url = folder, server, f"s3://{name}/store"
        urllib.request.urlopen(urllib.request.Request(f"{server}/{name}", method="PUT"), timeout=60)

    def _worker(self, name: str, endpoint: str) -> Path:
        forget()
        connection._open.clear()
        place = self._folder / name
        options = {"endpoint": endpoint, "allow_http": "true", "region": "us-east-1"}
        return connection.connect(self._url, cache=place, options=options)

    def run(self, endpoint: str) -> int:
        """Run both days, and return how many runs ended with an error."""
        failed = 0
        for day in (1, 2):
            for attempt in range(RUNS):
                try:
                    run(self._worker("first", endpoint), day, ONLY_TABLES)
                    break
                except StoreError:
                    failed += 1
                    if attempt == RUNS - 1:
                        raise
        return failed

    def content(self) -> dict[str, object]:
        """Return what another worker reads, without a fault."""
        return content(self._worker("second", self._server), ONLY_TABLES)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=200, help="faults after which no further trial begins")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=0.2, help="share of the requests that fail")
    parser.add_argument("--only", type=int, help="run this trial only")
    args = parser.parse_args()
    os.environ.update(KEYS)
    counts: collections.Counter[str] = collections.Counter()
    bad = trials = failed = 0
    with tempfile.TemporaryDirectory(prefix="reelcast-bucket-") as name, unflushed(), quiet():
        folder = Path(name)
        with s3_server(folder) as server:
            clean = Trial(folder / "clean", server, "clean")
            clean.run(server)
            expected = clean.content()
            while args.only is not None or counts.total() < args.faults:
                number = trials if args.only is None else args.only
                trial = Trial(folder / str(number), server, f"trial-{number}")
                proxy = FaultyProxy(server, seed=args.seed * 10_000 + number, share=args.share, seconds=0.2)
                threading.Thread(target=proxy.serve_forever, args=(0.01,), daemon=True).start()
                try:
                    failed += trial.run(proxy.url)
                    wrong = [] if trial.content() == expected else ["another worker reads something else"]
                except Exception as error:
                    wrong = [f"{type(error).__name__}: {error}"]
                finally:
                    proxy.shutdown()
                    proxy.server_close()
                counts.update(fault for *_, fault in proxy.faults)
                trials, bad = trials + 1, bad + bool(wrong)
                what = f"trial {number}: {proxy.count} requests, {len(proxy.faults)} faults"
                print(what, *(wrong and [*wrong, proxy.faults]), flush=True)
                if args.only is not None:
                    break
    print(f"{counts.total()} faults ({dict(counts)}) in {trials} trials, {failed} runs repeated: {bad} trials wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
