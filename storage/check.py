"""The check of a store for damage, with a remedy for each finding. It changes nothing."""

import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from storage import catalog
from storage.artifact_pointer import LISTING, listed_in_service, read_pointer
from storage.artifact_version import read_version
from storage.checked_parquet import open_parquet, read_table, row_groups
from storage.damage import DamageError, reading
from storage.durable import DAMAGED, StoreError
from storage.log import LOST, Log
from storage.parts import EMPTY, RETIRED
from storage.payload_schema import PAYLOAD_FILE, read_payload_schema
from storage.remote.connection import Remote, remote_of
from storage.rows import STATE, changed_items
from storage.stage import read_fingerprint
from storage.store import KINDS, NAME, read_format
from storage.table import Table, state_of

WRITTEN_AGAIN = "the next run writes it again"
MADE_AGAIN = "the next run makes it again"


@dataclass(frozen=True)
class Finding:
    """A problem or note about a store.

    Attributes:
        subject: The file, folder or setting concerned.
        problem: What is wrong with it.
        way_out: What the next run does about it, or the command that repairs it.
        level: `problem`, or `note` if no action is needed.
    """

    subject: str
    problem: str
    way_out: str
    level: Literal["problem", "note"] = "problem"


def check_store(root: Path, *, deep: bool = False) -> Iterator[Finding]:
    """Check every file of a store.

    Args:
        root: The store's folder.
        deep: Whether to read every byte, and compare page checksums, the output hash of every row and the digest of every
            artifact's files. By default only the states of rows, footers, file sizes and JSON files are read.

    Yields:
        Problems and notes.
    """
    if problem := _problem(lambda: read_format(root / "store.json")):
        yield Finding(str(root / "store.json"), problem, WRITTEN_AGAIN)
    remote = remote_of(root)
    if remote is not None:
        yield from _bucket(remote, deep)
    checks = dict(zip(KINDS, (_stage, _table, _artifact, _log), strict=True))
    for kind, check in checks.items():
        for folder in sorted(root.glob(f"{kind}/*")):
            if folder.is_dir() and NAME.fullmatch(folder.name):
                yield from check(folder, deep)
    if (root / catalog.FILE).exists() and not catalog.is_readable(root / catalog.FILE):
        yield Finding(str(root / catalog.FILE), "it cannot be opened", WRITTEN_AGAIN)
    for folder in sorted(root.glob(f"*/*/{DAMAGED}")):
        count = sum(1 for _ in folder.iterdir())
        yield Finding(
            str(folder), f"holds {count} damaged files that were set aside", f"rm -r {_quoted(folder)}", "note"
        )


def _bucket(remote: Remote, deep: bool) -> Iterator[Finding]:
    """Check the manifests and, if `deep`, every object; fetch what the other checks read."""
    for mirror in remote.mirrors():
        try:
            files = mirror.manifest().files
            if mirror.name.startswith(("tables", "logs")):
                mirror.fetch()
        except StoreError as error:
            yield Finding(f"{remote.objects.url}/{mirror.manifest_name}", str(error), "see the message")
            continue
        for path, entry in sorted(files.items()) if deep else ():
            if entry.object and (problem := mirror.problem_of(path)):
                subject = f"{remote.objects.url}/{mirror.name}/{entry.object}"
                yield Finding(subject, problem, "the next run takes it out of the store and computes its content again")


def _problem(read: Callable[[], object]) -> str | None:
    """Return what is wrong with the file that `read` reads, or None."""
    try:
        read()
    except DamageError as error:
        return error.problem
    except FileNotFoundError:
        return "it is missing"
    return None


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _stage(folder: Path, deep: bool) -> Iterator[Finding]:
    parts = sorted(folder.glob("parts/*/*/*.parquet"))
    if parts and (problem := _problem(lambda: read_payload_schema(folder / PAYLOAD_FILE))):
        yield Finding(str(folder / PAYLOAD_FILE), problem, WRITTEN_AGAIN)
    for file in sorted(folder.glob("fingerprints/*.json")):
        if problem := _problem(lambda file=file: read_fingerprint(file)):
            yield Finding(str(file), problem, "the next run removes it; it is used only for the reasons in a plan")
    for part in parts:
        if (part.parents[1] / RETIRED).exists():
            continue
        if part.name == EMPTY:
            if problem := _problem(lambda part=part: open_parquet(part)):
                yield Finding(str(part), problem, WRITTEN_AGAIN)
        elif problem := _problem(lambda part=part: read_table(part, STATE)):
            yield Finding(str(part), problem, "the next run sets it aside and computes its rows again")
        elif deep and (problem := _problem(lambda part=part: _read_whole(part))):
            yield Finding(str(part), problem, f"rm {_quoted(part)}; the next run then computes its rows again")


def _read_whole(part: Path) -> None:
    """Read every page of a part, and compare every row with its output hash."""
    for rows in row_groups(part):
        if changed := changed_items(rows):
            raise DamageError(part, f"{len(changed)} rows differ from their output hash, item {changed[0]} first")


def _table(folder: Path, deep: bool) -> Iterator[Finding]:
    table = Table(folder)
    for file in [table.current, *table.versions()]:
        problem = _problem(lambda file=file: state_of(file)) or (deep and _problem(lambda file=file: read_table(file)))
        if problem and file == table.current:
            yield Finding(str(file), problem, MADE_AGAIN)
        elif problem:
            yield Finding(str(file), problem, f"rm {_quoted(file)}; it is an earlier version")


def _artifact(folder: Path, deep: bool) -> Iterator[Finding]:
    versions = [path for path in sorted(folder.iterdir()) if path.name.isdigit() and path.is_dir()]
    try:
        service = read_pointer(folder)["version"]
    except FileNotFoundError:
        service = listed_in_service(folder)
        if service is not None:
            yield Finding(str(folder / "current.json"), "it is missing", WRITTEN_AGAIN)
    except DamageError as error:
        service = listed_in_service(folder)
        yield Finding(str(error.path), error.problem, f"{WRITTEN_AGAIN}; a pinned version must be pinned again")
    if service is not None and not (folder / f"{service:06d}").is_dir():
        yield Finding(str(folder), f"version {service} is in service, but is missing", MADE_AGAIN)
    for path in versions:
        if problem := _problem(lambda path=path: read_version(path).check(contents=deep)):
            again = MADE_AGAIN if int(path.name) == service else f"rm -r {_quoted(path)}; it is not in service"
            yield Finding(str(path), problem, again)
    listing = folder / LISTING
    if versions and (problem := _problem(lambda: _read_listing(listing))):
        yield Finding(str(listing), problem, WRITTEN_AGAIN)


def _read_listing(file: Path) -> None:
    with reading(file):
        listed = json.loads(file.read_text(encoding="utf-8"))
        if not all({"version", "in_service", "metadata"} <= entry.keys() for entry in listed):
            raise DamageError(file, "entries lack columns")


def _log(folder: Path, deep: bool) -> Iterator[Finding]:
    for file in Log(folder).files():
        if problem := _problem(lambda file=file: read_table(file) if deep else open_parquet(file)):
            yield Finding(str(file), problem, f"rm {_quoted(file)}; {LOST}")
