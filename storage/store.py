"""The store: a folder that holds what every run has computed.

store.json       the format's version
stages/{name}/   one row a video, in increments            Stage
tables/{name}/   a whole frame, replaced in one step       Table
artifacts/{name} a folder of files, versioned              Artifact
logs/{name}/     rows that are only added                  Log
catalog.duckdb   views over all of it, for people          storage.catalog
"""

import json
import re
import shutil
from pathlib import Path

import polars as pl
import pyarrow as pa

from storage.artifact import Artifact
from storage.durable import StoreError, explain, sweep, write_text
from storage.log import Log
from storage.stage import Stage
from storage.table import Table

FORMAT = 1
NAME = re.compile(r"[a-z][a-z0-9_]*")
LEFTOVERS_KEPT = 24 * 3600  # seconds; a writer that is still going after a day is none of ours


class Store:
    """root: the store's folder, made where it is not there. Raises StoreError where it cannot be written to."""

    def __init__(self, root: str | Path):
        self.root = Path(root).absolute()
        marker = self.root / "store.json"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise explain(error, self.root) from error
        self.check()
        if not marker.exists():
            write_text(marker, json.dumps({"format": FORMAT}))
        found = json.loads(marker.read_text(encoding="utf-8"))["format"]
        if found != FORMAT:
            raise StoreError(f"{marker}: the store has format {found}, this version reads {FORMAT}; name another store")

    def check(self, *, min_free: int = 0) -> None:
        """Writes a few bytes, and asks for `min_free` bytes of space. Raises StoreError, which says what to do."""
        probe = self.root / ".probe"
        write_text(probe, "can be written")
        probe.unlink(missing_ok=True)
        free = shutil.disk_usage(self.root).free
        if free < min_free:
            raise StoreError(
                f"{self.root}: {free / 2**30:.1f} GiB are free on its disk, {min_free / 2**30:.1f} GiB are needed. "
                "Free some space, or name a store on a larger disk"
            )

    def _folder(self, kind: str, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise ValueError(f"name is {name!r}, must be lower-case letters, digits and underscores, a letter first")
        return self.root / kind / name

    def stage(self, name: str, payload: pa.Schema) -> Stage:
        return Stage(self._folder("stages", name), payload)

    def stages(self) -> dict[str, Stage]:
        """The stages that the store holds, by name."""
        files = sorted(self.root.glob("stages/*/payload.arrow"))
        return {
            file.parent.name: Stage(file.parent, pa.ipc.read_schema(pa.py_buffer(file.read_bytes()))) for file in files
        }

    def table(self, name: str) -> Table:
        return Table(self._folder("tables", name))

    def artifact(self, name: str) -> Artifact:
        return Artifact(self._folder("artifacts", name))

    def log(self, name: str) -> Log:
        return Log(self._folder("logs", name))

    def append(self, name: str, frame: pl.DataFrame) -> None:
        """Adds rows to the log `name`."""
        self.log(name).append(frame)

    def sweep(self) -> int:
        """Removes what killed writers left behind more than a day ago. Returns how many files and folders."""
        return sweep(self.root, older_than=LEFTOVERS_KEPT)
