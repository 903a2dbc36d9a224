"""The store: a folder with the results of every run.

store.json        version of the store's format
stages/{name}/    one row per video, computed in increments     Stage
tables/{name}/    one data frame, replaced atomically           Table
artifacts/{name}/ versioned folders of files                    Artifact
logs/{name}/      append-only rows                              Log
catalog.duckdb    SQL views over all of the above               storage.catalog
"""

import json
import re
import shutil
from pathlib import Path

import polars as pl
import pyarrow as pa

from storage.artifact import Artifact
from storage.damage import DamageError, logger, reading
from storage.durable import StoreError, explain, make_folder, sweep, write_text
from storage.file_marks import tree_mark
from storage.file_system import check_file_system
from storage.log import Log
from storage.remote.connection import connect, is_url, own_mirror, remote_of
from storage.remote.unused import delete_unused
from storage.stage import Stage
from storage.stored_stages import StoredStages
from storage.table import Table

FORMAT = 1
KINDS = ("stages", "tables", "artifacts", "logs")
NAME = re.compile(r"[a-z][a-z0-9_]*")
LEFTOVERS_KEPT = 24 * 3600  # seconds; no writer of this project runs for more than a day


class Store:
    """A folder with the results of every run: stages, tables, artifacts and logs, each under a name of its own.

    Any number of processes may read and write one store at the same time (docs/storage.md, "Many processes"). A store in a
    bucket has a local folder with what this worker read or wrote (docs/object_storage.md).

    Attributes:
        root: The store's folder, absolute; of a store in a bucket, the local folder.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> store = Store(folder.name)
        >>> store.append("metrics", pl.DataFrame({"loss": [0.5]}))
        >>> store.log("metrics").read()["loss"].to_list()
        [0.5]
        >>> folder.cleanup()
    """

    def __init__(self, root: str | Path):
        """Open a store, and create its folder if it does not exist.

        Args:
            root: The store's folder, or the URL of a bucket (`s3://bucket/prefix`).

        Raises:
            StoreError: The folder cannot be written to, the store has another format, or object storage does not answer.
        """
        self.root = connect(str(root)) if is_url(str(root)) else Path(root).absolute()
        own = own_mirror(self.root)
        own.pull()
        marker = self.root / "store.json"
        try:
            make_folder(self.root)
        except OSError as error:
            raise explain(error, self.root) from error
        check_file_system(self.root)
        self.check()
        try:
            found = read_format(marker)
        except FileNotFoundError:
            own.change(lambda: write_text(marker, json.dumps({"format": FORMAT})))
        except DamageError as error:
            logger.warning("%s: it is written again", error)
            write_text(marker, json.dumps({"format": FORMAT}))
        else:
            if found != FORMAT:
                raise StoreError(
                    f"{marker}: the store has format {found}, this version reads {FORMAT}; choose another store "
                    f"(store.path), or, if this version wrote the store, remove the file (rm {marker})"
                )

    def check(self, *, min_free: int = 0) -> None:
        """Check that the store can be written to and that its disk has enough space.

        Args:
            min_free: Free bytes that the disk must have.

        Raises:
            StoreError: One of the two does not hold; the message says what to do.
        """
        probe = self.root / ".probe"
        write_text(probe, "can be written")
        probe.unlink(missing_ok=True)
        free = shutil.disk_usage(self.root).free
        if free < min_free:
            raise StoreError(
                f"{self.root}: {free / 2**30:.1f} GiB are free on its disk, {min_free / 2**30:.1f} GiB are needed. "
                "Free some space, or choose a store on a larger disk (store.path)"
            )

    def _folder(self, kind: str, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise ValueError(
                f"name is {name!r}, must start with a lower-case letter and continue with lower-case letters, digits or "
                "underscores"
            )
        return self.root / kind / name

    def stage(self, name: str, payload: pa.Schema) -> Stage:
        """Return the stage `name`, and create its folder if it does not exist.

        Args:
            name: Starts with a lower-case letter; then lower-case letters, digits and underscores.
            payload: The columns that the stage computes.

        Raises:
            ValueError: The name is not allowed, or a payload column has the name of a state column.
        """
        return Stage(self._folder("stages", name), payload)

    def stages(self) -> StoredStages:
        """Return all stages in the store, by name. Each is opened when it is asked for."""
        return StoredStages(self.root / "stages", self.names("stages"))

    def names(self, kind: str) -> list[str]:
        """Return the names in use for one kind of content; files that do not belong to the store are ignored.

        Args:
            kind: `stages`, `tables`, `artifacts` or `logs`.
        """
        remote = remote_of(self.root)
        elsewhere = [] if remote is None else remote.names(kind)  # what only other workers have written
        here = (path.name for path in self.root.glob(f"{kind}/*") if path.is_dir())
        return sorted(name for name in {*here, *elsewhere} if NAME.fullmatch(name))

    def table(self, name: str) -> Table:
        """Return the table `name`; it need not exist yet."""
        return Table(self._folder("tables", name))

    def artifact(self, name: str) -> Artifact:
        """Return the artifact `name`; it need not exist yet."""
        return Artifact(self._folder("artifacts", name))

    def log(self, name: str) -> Log:
        """Return the log `name`; it need not exist yet."""
        return Log(self._folder("logs", name))

    def append(self, name: str, frame: pl.DataFrame) -> None:
        """Append the rows of `frame` to the log `name`."""
        self.log(name).append(frame)

    def fetch(self) -> None:
        """Download everything that a store in a bucket holds and its local folder lacks."""
        remote = remote_of(self.root)
        for mirror in [] if remote is None else remote.mirrors():
            mirror.fetch()

    def mark(self, kind: str, name: str) -> str:
        """Return a text that changes with every change of a stage, table, artifact or log.

        Args:
            kind: `stages`, `tables`, `artifacts` or `logs`.
            name: Its name.
        """
        remote = remote_of(self.root)
        return tree_mark(self.root / kind / name) if remote is None else remote.mirror(f"{kind}/{name}").mark()

    def sweep(self) -> int:
        """Remove unfinished files of killed writers that are older than a day, and return how many were removed."""
        return sweep(self.root, older_than=LEFTOVERS_KEPT)

    def delete_unused(self, *, retention: float) -> int:
        """Delete the objects of a bucket that no file needs any more, and return how many.

        Args:
            retention: Seconds for which the object of a removed file is kept.
        """
        remote = remote_of(self.root)
        return 0 if remote is None else delete_unused(remote, retention=retention)


def read_format(marker: Path) -> int:
    """Return the format recorded in a store's `store.json`.

    Raises:
        DamageError: The file is damaged.
        FileNotFoundError: The file does not exist.
    """
    with reading(marker):
        return int(json.loads(marker.read_text(encoding="utf-8"))["format"])
