"""Write a small store with the storage package of an earlier commit.

    mkdir /tmp/earlier && git archive COMMIT storage | tar x -C /tmp/earlier
    PYTHONPATH=/tmp/earlier python tests/storage/released/make_store.py /tmp/earlier/store
    tar czf tests/storage/released/NAME.tar.gz -C /tmp/earlier/store --exclude=./catalog.duckdb .

Only what every commit offers is used, so that all stores have the same content. The catalog is not kept, because it holds the
path of the store. NAME and COMMIT:

    generations    6bc87ac    parts in generations; no pins and no list of an artifact's versions
    listings       36d649f    lists of versions, packs; the last form without checksums
    checksums      54fc918    checksums of pages, records of files
    one_machine    91ed2c1    stages compare the marks of files; the last form before stores on object storage
"""

import sys

import numpy as np
import polars as pl
import pyarrow as pa

from storage import catalog
from storage.arrays import fixed, ragged
from storage.bank.version import build
from storage.fingerprint import Fingerprint
from storage.rows import Row
from storage.store import Store

PAYLOAD = pa.schema([pa.field("title", pa.string()), fixed("embedding", [3]), ragged("words", 2, "float16")])
FINGERPRINT = Fingerprint(1, {"width": 3}, {"name": "plain"})
TITLES = {"a": "one", "b": "two", "c": "three"}


def row(item: str, title: str, used: str) -> Row:
    """Return the row of an item."""
    value = len(title)
    return Row.ok(
        item, used, {"title": title, "embedding": np.full(3, value), "words": np.arange(2 * value).reshape(value, 2)}
    )


def bank_members(count: int = 4) -> dict:
    """Return the arguments of `build`."""
    vectors = np.arange(1, 1 + 2 * count, dtype=np.float32).reshape(count, 2)
    return {
        "items": [f"v{number}" for number in range(count)],
        "content": vectors,
        "content_mask": np.ones(count, bool),
        "temporal": vectors,
        "temporal_mask": np.ones(count, bool),
        "labels": np.arange(count) / 2,
        "label_times": None,
        "groups": np.arange(count),
        "versions": {"content": "one"},
    }


def main(root: str) -> None:
    """Write the store."""
    store = Store(root)
    stage = store.stage("captions", PAYLOAD)
    stage.commit([row("a", "old", "old a"), row("gone", "gone", "input gone")], fingerprint=FINGERPRINT)
    stage.commit([row(item, title, f"input {item}") for item, title in TITLES.items()], fingerprint=FINGERPRINT)
    rest = [Row.failed("d", "input d", ValueError("unreadable")), Row.missing("e", "input e", "no title")]
    stage.commit(rest, fingerprint=FINGERPRINT)
    stage.drop(["gone"])
    for version in (1, 2):
        frame = pl.DataFrame({"item": list(TITLES), "version": [version] * len(TITLES)})
        store.table("splits").write(frame, inputs_hash=f"i{version}", fingerprint="f", metadata={"drawn": version})
        with store.artifact("model").new(inputs_hash=f"i{version}", fingerprint="f", metadata={"loss": 0.5}) as folder:
            (folder / "weights").write_text(f"weights {version}")
        store.append("runs", pl.DataFrame({"computed": [version]}))
    bank = store.artifact("memory_bank")
    bank.activate(build(bank, **bank_members()).version)
    catalog.publish(store)


if __name__ == "__main__":
    main(sys.argv[1])
