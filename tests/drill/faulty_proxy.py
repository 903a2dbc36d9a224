"""A server that stands before an S3 server and lets some of its requests fail, by a seed.

    python -m tests.drill.faulty_proxy http://127.0.0.1:5000 --seed 7 [--share 0.05] [--port 0]

What happens to the n-th request depends on the seed and on n only, so a seed whose run was wrong gives the same faults at the
same numbers again. Each fault is printed. The faults:

    error       500, and the server never sees the request
    busy        503, as S3 answers a client that is too fast
    timeout     no answer for some seconds, then the connection ends; the server never sees the request
    slow        the answer comes after some seconds
    lost        the server does what was asked, and the connection ends without an answer
    cut         the connection ends in the middle of the answer
"""

from __future__ import annotations

import argparse
import http.client
import random
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

FAULTS = ("error", "busy", "timeout", "slow", "lost", "cut")
HOP = ("connection", "keep-alive", "transfer-encoding")  # headers that are about one connection only


def fault_of(seed: int, number: int, share: float) -> str | None:
    """Return the fault of a request, or None.

    Args:
        seed: The seed.
        number: The request's number, from 0.
        share: Share of the requests that fail.

    Example:
        >>> [number for number in range(40) if fault_of(1, number, 0.1)] == [
        ...     number for number in range(40) if fault_of(1, number, 0.1)
        ... ]
        True
    """
    choose = random.Random(f"{seed}:{number}")
    return choose.choice(FAULTS) if choose.random() < share else None


class FaultyProxy(ThreadingHTTPServer):
    """The server; see the module.

    Attributes:
        count: Number of requests so far.
        faults: (number, method, path, fault) of the requests that failed.
    """

    daemon_threads = True

    def __init__(
        self,
        target: str,
        *,
        seed: int,
        share: float = 0.05,
        seconds: float = 2.0,
        port: int = 0,
        tell: Callable[[str], object] = lambda line: None,
    ):
        """Listen on the loopback; `serve_forever` answers.

        Args:
            target: Address of the S3 server, `http://host:port`.
            seed: Seed of the faults.
            share: Share of the requests that fail.
            seconds: How long a slow answer or a timeout takes.
            port: The port; 0 for a free one.
            tell: Called with a line per fault.
        """
        super().__init__(("127.0.0.1", port), _Handler)
        self.target = urlsplit(target)
        self.count = 0
        self.faults: list[tuple[int, str, str, str]] = []
        self._seed, self._share, self.seconds, self._tell = seed, share, seconds, tell
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Address of this server."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print an error; that a client was killed in the middle of its request is none."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def next_fault(self, method: str, path: str) -> str | None:
        """Count a request, and return its fault."""
        with self._lock:
            number, self.count = self.count, self.count + 1
            fault = fault_of(self._seed, number, self._share)
            if fault is not None:
                self.faults.append((number, method, path, fault))
                self._tell(f"request {number}: {method} {path}: {fault}")
            return fault


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyProxy

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        match fault := self.server.next_fault(self.command, self.path):
            case "error" | "busy":
                self.send_response(500 if fault == "error" else 503)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            case "timeout":
                time.sleep(self.server.seconds)
                self._hang_up()
                return
            case "slow":
                time.sleep(self.server.seconds)
        status, headers, content = self._forward(body)
        if fault == "lost":
            self._hang_up()
            return
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in HOP:
                self.send_header(name, value)
        if not any(name.lower() == "content-length" for name, _ in headers):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if fault == "cut" else content)
        if fault == "cut":
            self._hang_up()

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _answer

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.server.target.hostname, self.server.target.port, timeout=60)
        try:
            kept = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
            connection.request(self.command, self.path, body=body, headers=kept)
            response = connection.getresponse()
            return response.status, response.getheaders(), response.read()
        finally:
            connection.close()

    def _hang_up(self) -> None:
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: only faults are told."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", help="address of the S3 server")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=0.05, help="share of the requests that fail")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long a slow answer or a timeout takes")
    parser.add_argument("--port", type=int, default=0)
    args = parser.parse_args()

    def tell(line: str) -> None:
        print(line, flush=True)

    proxy = FaultyProxy(args.target, seed=args.seed, share=args.share, seconds=args.seconds, port=args.port, tell=tell)
    tell(proxy.url)
    try:
        proxy.serve_forever()
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
