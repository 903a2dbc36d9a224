import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pyarrow as pa
import pytest

from storage.durable import StoreError
from storage.store import Store


def test_a_store_is_made_and_opened_again(tmp_path):
    root = Store(tmp_path / "a" / "store").root
    assert json.loads((root / "store.json").read_text()) == {"format": 1}
    assert Store(root).root == root
    assert not list(root.glob(".*"))


def test_a_store_of_another_format_is_refused(tmp_path):
    (tmp_path / "store.json").write_text('{"format": 99}')
    with pytest.raises(StoreError, match="format 99, this version reads 1"):
        Store(tmp_path)


def test_a_file_in_the_place_of_the_store(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        Store(tmp_path / "file" / "store")


def test_too_little_space(store):
    store.check(min_free=1)
    with pytest.raises(StoreError, match=r"are needed. Free some space"):
        store.check(min_free=2**60)


def test_a_stage_is_opened_only_when_it_is_asked_for(store):
    for name in ("titles", "words"):
        store.stage(name, pa.schema({name: pa.int32()}))
    (store.root / "stages" / "no_stage").mkdir()
    payload = store.root / "stages" / "words" / "payload.arrow"
    payload.write_bytes(b"damaged")
    assert store.stages()["titles"].payload.names == ["titles"]
    assert payload.read_bytes() == b"damaged"  # opening the stage would write it again
    assert "nothing" not in store.stages() and store.stages().get("no_stage") is None
    assert {name: stage.payload.names for name, stage in store.stages().items()} == {
        "titles": ["titles"],
        "words": ["words"],
    }
    assert len(store.stages()) == 2 and payload.read_bytes() != b"damaged"


@pytest.mark.parametrize("name", ["Upper", "with-dash", "../up", "", "1st"])
def test_names_are_plain(store, name):
    with pytest.raises(ValueError, match="lower-case"):
        store.table(name)


def test_a_store_that_cannot_be_written_to():
    with tempfile.TemporaryDirectory() as folder:
        locked = Path(folder) / "locked"
        locked.mkdir()
        Path(folder).chmod(0o755)
        locked.chmod(0o555)
        root = os.geteuid() == 0
        if root:  # whom no permission stops
            os.seteuid(65534)
        try:
            with pytest.raises(StoreError, match=r"cannot be written .Permission denied.. Give this user write access"):
                Store(locked)
            with pytest.raises(StoreError, match=r"cannot be written .Permission denied.. Give this user write access"):
                Store(locked / "store")
        finally:
            if root:
                os.seteuid(0)


FULL = """
import json, sys
import numpy as np, polars as pl, pyarrow as pa
from storage.durable import StoreError
from storage.rows import Row
from storage.store import Store

store = Store(sys.argv[1])
stage = store.stage("s", pa.schema([pa.field("bytes", pa.binary())]))
noise = np.random.default_rng(0).bytes(300_000)
stage.commit([Row.ok("small", "h", {"bytes": b"x"})], fingerprint="f")
for what, write in {
    "stage": lambda: stage.commit([Row.ok("large", "h", {"bytes": noise})], fingerprint="f"),
    "table": lambda: store.table("t").write(pl.DataFrame({"b": [noise]}), inputs_hash="i", fingerprint="f"),
    "log": lambda: store.append("l", pl.DataFrame({"b": [noise]})),
    "artifact": lambda: artifact(),
}.items():
    def artifact():
        with store.artifact("a").new(inputs_hash="i", fingerprint="f") as folder:
            (folder / "weights").write_bytes(noise)
    try:
        write()
    except StoreError as error:
        print(what, error)
"""


def test_a_full_disk_loses_nothing(tmp_path):
    """A limit on the size of files makes writing fail midway, as a full disk does."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    command = [sys.executable, "-c", textwrap.dedent(FULL), str(tmp_path / "store")]
    ran = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["stage", "table", "log", "artifact"]
    assert all("no space left" in line and "are not computed again" in line for line in lines)
    store = Store(tmp_path / "store")
    assert store.stages()["s"].read()["item"].to_pylist() == ["small"]
    assert store.table("t").state() is None and store.artifact("a").current() is None
    assert store.log("l").read().height == 0
    assert not [file for file in store.root.rglob("*") if file.name.startswith(".writing")]


def test_sweeping_removes_old_leftovers_only(store):
    folder = store.root / "artifacts" / "model"
    old, young = folder / ".writing-1-a", folder / ".writing-2-b"
    for leftover in (old, young):
        leftover.mkdir(parents=True)
        (leftover / "weights").write_text("x")
    os.utime(old, (0, 0))
    assert store.sweep() == 1
    assert not old.exists() and young.exists()
