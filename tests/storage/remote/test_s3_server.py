import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.remote.connection import connect
from storage.store import Store
from tests.drill.compare import differences

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An S3 server with the bucket `videos`: the one that S3_ENDPOINT names, or moto's."""
    given = os.environ.get("S3_ENDPOINT")
    if given is None and importlib.util.find_spec("moto") is None:
        pytest.skip("moto is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = given or f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = None if given else subprocess.Popen(command, **quiet)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(urllib.request.Request(f"{url}/videos", method="PUT"), timeout=5)
                break
            except OSError:
                time.sleep(0.1)
        yield url
    finally:
        if server is not None:
            server.terminate()
            server.wait()


def reelcast(*words: str, data: Path, store: str, folder: Path, endpoint: str) -> str:
    options = {"endpoint": endpoint, "region": "us-east-1", "allow_http": "true"}
    settings = {
        "DATA__FOLDER": str(data),
        "STORE__PATH": store,
        "STORE__CACHE": str(folder),
        "STORE__OPTIONS": json.dumps(options),
        "STORE__RESULTS": f"{folder}-results",
        "STORE__MIN_FREE_MB": "0",
        "SAMPLING__FRAMES": "2",
        "MODEL__SEEDS": "[0]",
        "MODEL__TRAIN": '["m3tr"]',
        "MODEL__MAX_EPOCHS": "1",
        "PROCESS__MAX_EPOCHS": "1",
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("REELCAST_", "DAGSTER_"))}
    environment |= {f"REELCAST_{name}": value for name, value in settings.items()} | CREDENTIALS
    command = [sys.executable, "-m", "pipeline.command_line", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_the_whole_graph_gives_the_same_store_in_a_bucket_as_on_a_disk(endpoint, tmp_path, monkeypatch):
    data = tmp_path / "data"
    make = [sys.executable, "-m", "pipeline.demonstration", str(data), "--videos", "48", "--uploads", "3"]
    subprocess.run(make, check=True, capture_output=True)
    url = f"s3://videos/{time.time_ns()}"
    where = {"data": data, "endpoint": endpoint}
    reelcast("run", store=str(tmp_path / "disk"), folder=tmp_path / "unused", **where)
    reelcast("run", store=url, folder=tmp_path / "first", **where)

    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    options = {"endpoint": endpoint, "region": "us-east-1", "allow_http": "true"}
    second = Store(connect(url, cache=tmp_path / "second", options=options))
    second.fetch()
    assert differences(second.root, tmp_path / "disk") == []
    query = "SELECT stage, status, count(*) FROM states GROUP BY ALL ORDER BY ALL"
    # the results' files lie on the machine of the run; all else comes from the bucket
    for words, machine in ((("results",), "first"), (("sql", query), "third"), (("plan",), "third")):
        on_disk = reelcast(*words, store=str(tmp_path / "disk"), folder=tmp_path / "unused", **where)
        in_bucket = reelcast(*words, store=url, folder=tmp_path / machine, **where)
        hidden = (str(tmp_path), url)
        assert [line for line in on_disk.splitlines() if not any(text in line for text in hidden)] == [
            line for line in in_bucket.splitlines() if not any(text in line for text in hidden)
        ]
    reelcast("check", "--deep", store=url, folder=tmp_path / "third", **where)
