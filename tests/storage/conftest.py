from pathlib import Path

import pytest
from hypothesis import settings

from storage.store import Store

# A busy machine is no failure: these tests touch the disk.
settings.register_profile("disk", deadline=None)
settings.load_profile("disk")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")
