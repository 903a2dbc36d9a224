"""The proxy fails the requests that its seed names, and passes all others on."""

import http.client
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from tests.drill.faulty_proxy import FAULTS, FaultyProxy, fault_of

FAILED = (urllib.error.URLError, http.client.HTTPException, ConnectionError)


class Objects(BaseHTTPRequestHandler):
    """Objects in memory."""

    kept: ClassVar[dict[str, bytes]] = {}

    def do_PUT(self):
        self.kept[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(b"")

    def do_GET(self):
        self._answer(self.kept[self.path])

    def _answer(self, content):
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        """Print nothing."""


@pytest.fixture
def proxy():
    """A function that starts a proxy in front of an empty server."""
    Objects.kept = {}
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Objects)]

    def start(**options) -> FaultyProxy:
        made = FaultyProxy(f"http://127.0.0.1:{servers[0].server_address[1]}", seconds=0.05, **options)
        servers.append(made)
        threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
        return made

    threading.Thread(target=servers[0].serve_forever, args=(0.01,), daemon=True).start()
    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def put(proxy: FaultyProxy, name: str, content: bytes) -> None:
    urllib.request.urlopen(urllib.request.Request(f"{proxy.url}/{name}", data=content, method="PUT"), timeout=5)


def get(proxy: FaultyProxy, name: str) -> bytes:
    return urllib.request.urlopen(f"{proxy.url}/{name}", timeout=5).read()


def seed_with(fault: str, number: int) -> int:
    """A seed whose only fault among the first requests is this one."""
    return next(
        seed
        for seed in range(100_000)
        if [fault_of(seed, one, 0.3) for one in range(3)] == [fault if one == number else None for one in range(3)]
    )


def test_what_does_not_fail_is_passed_on(proxy):
    whole = proxy(seed=0, share=0.0)
    put(whole, "a", b"content")
    assert get(whole, "a") == b"content" and whole.count == 2 and whole.faults == []


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault(proxy, fault):
    faulty = proxy(seed=seed_with(fault, 0), share=0.3)
    if fault in ("slow", "cut"):  # the empty answer of a put cannot be cut
        put(faulty, "a", b"content")
    else:
        with pytest.raises(FAILED):
            put(faulty, "a", b"content")
    assert Objects.kept == ({"/a": b"content"} if fault in ("slow", "lost", "cut") else {})
    assert faulty.faults == [(0, "PUT", "/a", fault)]


def test_an_answer_that_is_cut(proxy):
    faulty = proxy(seed=seed_with("cut", 1), share=0.3)
    put(faulty, "a", b"content")
    with pytest.raises(http.client.IncompleteRead):
        get(faulty, "a")


def test_a_seed_gives_the_same_faults_again(proxy):
    def faults(seed):
        faulty = proxy(seed=seed, share=0.5)
        for number in range(12):
            try:
                put(faulty, str(number), b"content")
            except FAILED:
                continue
        return faulty.faults

    assert faults(3) == faults(3) and faults(3) != faults(4)
