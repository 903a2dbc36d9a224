"""A process that writes to a store without end, for tests that kill it: `python endless_writer.py STORE SEED`.

It says on its standard output what it has finished, one JSON object a line, so that whoever killed it knows what must
still be there.
"""

import json
import random
import sys

import numpy as np
import polars as pl
import pyarrow as pa

from storage import catalog
from storage.arrays import fixed
from storage.rows import Row
from storage.store import Store

PAYLOAD = pa.schema([pa.field("number", pa.int64()), fixed("vector", (64,), "float16")])
ITEMS = 60


def vector(item: str, number: int) -> np.ndarray:
    return np.random.default_rng([int(item), number]).standard_normal(64)


def say(**done) -> None:
    print(json.dumps(done), flush=True)


def main(root: str, seed: int) -> None:
    choose = random.Random(seed)
    store = Store(root)
    stage = store.stage("numbers", PAYLOAD)
    number = seed * 1_000_000
    say(ready=True)
    while True:
        number += 1
        match choose.randrange(10):
            case 0:
                stage.compact(publish=lambda: catalog.publish(store), retention=0, most_parts=3)
                say(compacted=number)
            case 1:
                store.table("numbers_table").write(
                    pl.DataFrame({"number": [number] * 1000}), inputs_hash=str(number), fingerprint="f"
                )
                say(table=number)
            case 2:
                with store.artifact("model").new(inputs_hash=str(number), fingerprint="f") as folder:
                    for name in "ab":
                        (folder / name).write_text(str(number) * 1000)
                say(artifact=number)
            case 3:
                store.append("runs", pl.DataFrame({"number": [number]}))
                say(log=number)
            case 4:
                catalog.publish(store)
                say(published=number)
            case 5:
                items = choose.sample(range(ITEMS), 3)
                stage.drop([str(item) for item in items])
                say(dropped=number, items=items)
            case _:
                items = choose.sample(range(ITEMS), 20)
                rows = [
                    Row.ok(str(item), str(number), {"number": number, "vector": vector(str(item), number)})
                    for item in items
                ]
                stage.commit(rows, fingerprint="f")
                say(committed=number, items=items)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
