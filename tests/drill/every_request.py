"""Every request to object storage fails once: the small run over a bucket is broken at each request, and must recover.

    python -m tests.drill.every_request [--parts stage table ...]

The bucket is obstore's in memory, so a request takes no time and the faults are inside `ObjectFolder.send`, through which every
request goes. A request fails in one of these ways:

    refused     nothing was done, and an error is the answer
    lost        all was done, but an error is the answer
    repeated    all was done, the answer was lost, and the client sent it again: a conditional put is then refused
    died        the worker dies before the request, or just after it
    flipped     one bit of what is read differs

Then this worker, or another one with an empty local folder, runs again. The bucket must then hold what it holds without a
fault, for a third worker too, and nothing that was finished before may be computed again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from storage.durable import StoreError
from storage.remote import connection
from storage.remote.objects import Fetched, ObjectFolder, PutRefused, RemoteError
from tests.drill.every_write import forget, quiet, unflushed
from tests.drill.small_run import PARTS, content, run

WAYS = ("refused", "lost", "repeated", "died before", "died after", "flipped")
RUNS = 3


class WorkerDied(BaseException):
    """Nothing of the worker's code may handle it, as nothing handles SIGKILL."""


class Requests:
    """Counts requests, and lets one of them fail.

    Attributes:
        names: (operation, object) of each request so far.
    """

    def __init__(self, number: int | None = None, way: str = ""):
        """Let the request `number` (from 0) fail in a way of `WAYS`; none by default."""
        self.names: list[tuple[str, str]] = []
        self._number, self._way = number, way

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Count the requests in this block."""
        send, watch = ObjectFolder.send, self._send

        def watched(objects: ObjectFolder, operation: str, name: str, request: Callable[[], Any]) -> Any:
            return watch(operation, name, lambda: send(objects, operation, name, request))

        with patch.object(ObjectFolder, "send", watched):
            yield

    def _send(self, operation: str, name: str, send: Callable[[], Any]) -> Any:
        number = len(self.names)
        self.names.append((operation, name))
        if number != self._number:
            return send()
        match self._way:
            case "refused":
                raise RemoteError(f"{name}: {operation} failed: timed out")
            case "died before":
                raise WorkerDied
        answer = send()
        match self._way:
            case "lost":
                raise RemoteError(f"{name}: {operation} failed: connection reset")
            case "repeated" if operation.startswith("put_if"):
                raise PutRefused(name)
            case "died after":
                raise WorkerDied
            case "flipped" if isinstance(answer, Fetched):
                return answer._replace(content=_flipped(answer.content))
            case "flipped" if isinstance(answer, bytes):
                return _flipped(answer)
        return answer


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes(byte ^ 1 for byte in data[middle : middle + 1]) + data[middle + 1 :]


class RemoteTrials:
    """The second day's run of one part of the small run, over a bucket."""

    def __init__(self, folder: Path, part: str):
        """Record the run without a fault.

        Args:
            folder: An empty folder for the workers' local folders.
            part: A name in `PARTS`.
        """
        self.part, self._folder = part, folder
        self._parts = (*PARTS[part].needs, part)
        self._begin()
        requests = Requests()
        with unflushed(), requests.watched():
            run(self._worker("first"), 2, self._parts)
        self.requests = requests.names
        self.clean = self._content("third")

    def _begin(self) -> None:
        """Make the bucket as it is after the first day."""
        self._url = f"memory://{uuid.uuid4().hex}"
        self._place = Path(tempfile.mkdtemp(dir=self._folder))
        with unflushed():
            run(self._worker("first"), 1, self._parts)

    def _worker(self, name: str) -> Path:
        """Return the local folder of a worker whose process has just begun."""
        forget()
        connection._open.clear()
        return connection.connect(self._url, cache=self._place / name)

    def _content(self, name: str) -> dict[str, object]:
        with unflushed():
            return content(self._worker(name), self._parts)

    def failures(self, ways: tuple[str, ...] = WAYS) -> Iterator[tuple[str, list[str]]]:
        """Yield each request that fails and what is wrong then; the requests take turns with the ways."""
        for number, (operation, name) in enumerate(self.requests):
            way, by = ways[number % len(ways)], ("first", "second")[number // len(ways) % 2]
            self._begin()
            what = f"{self.part}, request {number} ({operation} {name}) {way}; the {by} worker runs again"
            with quiet():
                yield what, self._broken(number, way) + self._recover(by)

    def _broken(self, number: int, way: str) -> list[str]:
        self._finished: set[str] = set()
        try:
            with unflushed(), Requests(number, way).watched():
                run(self._worker("first"), 2, self._parts, done=self._finished.add)
        except (StoreError, WorkerDied):
            return []
        except Exception as error:
            return [f"the error names nothing: {type(error).__name__}: {error}"]
        return []

    def _recover(self, by: str) -> list[str]:
        done: set[str] = set()
        for _ in range(RUNS):
            try:
                with unflushed():
                    run(self._worker(by), 2, self._parts, done=done.add)
                break
            except StoreError as error:
                last = error
        else:
            return [f"the next runs fail: {last}"]
        wrong = [
            f"the {worker} worker sees something else than without a fault"
            for worker in (by, "third")
            if self._content(worker) != self.clean
        ]
        if again := sorted(self._finished & done):
            wrong.append(f"was finished and is computed again: {again}")
        return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=sorted(PARTS), default=list(PARTS))
    args = parser.parse_args()
    bad = 0
    for part in args.parts:
        with tempfile.TemporaryDirectory(prefix="reelcast-requests-") as folder:
            trials, count, wrong = RemoteTrials(Path(folder), part), 0, 0
            for way in WAYS:
                for what, problems in trials.failures((way,)):
                    count, wrong = count + 1, wrong + bool(problems)
                    for problem in problems:
                        print(f"{what}: {problem}", flush=True)
            bad += wrong
            print(f"{part}: {len(trials.requests)} requests, {count} failures, {wrong} wrong", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
