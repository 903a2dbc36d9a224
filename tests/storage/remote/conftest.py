import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.remote import connection
from storage.store import Store

pytest.importorskip("obstore")

Worker = Callable[[str], Store]


@pytest.fixture
def url() -> str:
    return f"memory://{uuid.uuid4().hex}"


@pytest.fixture
def worker(url: str, tmp_path: Path) -> Iterator[Worker]:
    """Return the store as a worker of this name sees it: each one has a local folder of its own."""

    def open_store(name: str) -> Store:
        return Store(connection.connect(url, cache=tmp_path / name))

    yield open_store
    for root in [root for root in connection._open if tmp_path in root.parents]:
        del connection._open[root]
