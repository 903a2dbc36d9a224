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
from storage.damage import DamageError, logger, reading
from storage.durable import StoreError, explain, sweep, write_text
from storage.log import Log
from storage.payload_schema import stored_payload
from storage.stage import Stage
from storage.table import Table

FORMAT = 1
KINDS = ("stages", "tables", "artifacts", "logs")
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
        try:
            found = read_format(marker)
        except FileNotFoundError:
            write_text(marker, json.dumps({"format": FORMAT}))
        except DamageError as error:
            logger.warning("%s: it is written again", error)
            write_text(marker, json.dumps({"format": FORMAT}))
        else:
            if found != FORMAT:
                raise StoreError(
                    f"{marker}: the store has format {found}, this version reads {FORMAT}; name another store, or, if this "
                    f"version wrote it, remove that file (rm {marker})"
                )

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
        found = {name: stored_payload(self.root / "stages" / name) for name in self.names("stages")}
        return {name: self.stage(name, payload) for name, payload in found.items() if payload is not None}

    def names(self, kind: str) -> list[str]:
        """The names that the store holds of a kind (`stages`, `tables`, `artifacts`, `logs`); other files are passed over."""
        return sorted(path.name for path in self.root.glob(f"{kind}/*") if NAME.fullmatch(path.name) and path.is_dir())

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


def read_format(marker: Path) -> int:
    """The format that a store's `store.json` names.

    Raises:
        DamageError: It is not as it was written.
        FileNotFoundError: It is not there.
    """
    with reading(marker):
        return int(json.loads(marker.read_text(encoding="utf-8"))["format"])
