"""One set of tiny checkpoints for all tests, and no network."""

import os
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # before huggingface_hub is imported, which reads it once


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    """The folder of the tiny checkpoints, built by the first test that asks for one."""
    return tmp_path_factory.mktemp("tiny")
