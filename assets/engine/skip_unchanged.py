"""Skip an asset or a check whose inputs and outputs are unchanged since its last run.

Otherwise a nightly run without new data would read the state of every video in every stage, and recount every label. The
state of a stage, table or artifact is a mark made from its files' names, sizes and modification times
(`storage.file_marks`), so the cost depends on the number of files, not of videos. The last result is not used again if the
settings or the project's code changed, or if two processes worked on the asset at the same time.
"""

from __future__ import annotations

import functools
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from assets.engine.dry_run import is_dry
from assets.engine.picture_files import as_linked_pictures
from assets.engine.run_log import note_run
from assets.engine.shown_tables import shown_tables
from assets.engine.store_access import open_store
from assets.engine.user_errors import told_to_the_user
from assets.settings import Settings
from storage.durable import write_text
from storage.hashing import content_hash
from storage.process_lock import is_present, present
from storage.store import Store

Asset = Callable[[dg.AssetExecutionContext, Settings], dg.MaterializeResult]
Check = Callable[[Settings], dg.AssetCheckResult]
Marks = Callable[[Store, Settings], Sequence[str | None]]
Metadata = Mapping[str, Any]
Shows = Callable[[Store, Settings], Metadata]

PROJECT = Path(__file__).parents[2]
PACKAGES = ("assets", "models", "storage")
# Sections and settings that change no result of an asset or check.
NO_RESULT = {
    **dict.fromkeys(("store", "automation", "upkeep", "ray", "kubernetes", "dagster"), True),
    "run": {"workers", "shard_size", "executor"},
}
KINDS = {
    dg.TextMetadataValue: dg.MetadataValue.text,
    dg.BoolMetadataValue: dg.MetadataValue.bool,
    dg.JsonMetadataValue: dg.MetadataValue.json,
    dg.MarkdownMetadataValue: dg.MetadataValue.md,
    dg.IntMetadataValue: dg.MetadataValue.int,
    dg.FloatMetadataValue: dg.MetadataValue.float,
    dg.UrlMetadataValue: dg.MetadataValue.url,
    dg.PathMetadataValue: dg.MetadataValue.path,
}
TABLES = (dg.TableMetadataValue, dg.TableSchemaMetadataValue)


def skip_unchanged(
    name: str,
    *,
    reads: Marks,
    makes: Marks,
    when_skipped: Callable[[Metadata], Metadata] = dict,
    shows: Shows | None = None,
) -> Callable[[Asset], Asset]:
    """Return a decorator that skips an asset while its inputs and outputs are unchanged.

    A skipped asset returns the metadata, checks and data version of its last materialisation. The tables that an asset
    wrote are described in its metadata (`assets.engine.shown_tables`).

    Args:
        name: Name of the asset.
        reads: Marks of everything that the asset reads besides the settings. If one is None, the asset is never skipped.
        makes: Marks of everything that the asset writes.
        when_skipped: Turns the metadata of the last materialisation into those of a skipped one. Default: unchanged.
        shows: Returns further metadata, such as a picture, from the store after a run.
    """

    def decorate(asset: Asset) -> Asset:
        @functools.wraps(asset)
        @told_to_the_user
        def run(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
            if is_dry():
                return asset(context, settings)
            store = open_store(settings)
            memory = _Memory(store, name)
            before, kept = _token(reads, store, settings), memory.read()
            if (
                before is not None
                and kept.get("reads") == before
                and kept.get("made") == _token(makes, store, settings)
            ):
                result = _linked(context, name, _restored(kept, when_skipped))
                context.log.info("%s: nothing changed since run %s", name, kept["run"])
                failed = result.metadata.get("rows_failed", 0)
                note_run(context, store, name, computed=0, failed=getattr(failed, "value", failed), seconds=0.0)
                return result
            with memory.claimed() as claim:
                result = asset(context, settings)
                shown = {
                    **shown_tables(store, _made(makes, store, settings)),
                    **(shows(store, settings) if shows else {}),
                }
                result = result._replace(metadata={**(result.metadata or {}), **shown})
                facts = _facts(result)
                if before is not None and facts is not None and claim.holds():
                    made = _token(makes, store, settings)
                    memory.write({"reads": before, "made": made, "run": context.run.run_id, **facts})
            return _linked(context, name, result)

        return run

    return decorate


def verdict_stands(name: str, *, reads: Marks) -> Callable[[Check], Check]:
    """Return a decorator that repeats the result of an asset check while its inputs are unchanged.

    A check that did not pass always runs again.

    Args:
        name: Name of the check.
        reads: Marks of everything that the check reads besides the settings. If one is None, the check always runs.
    """

    def decorate(check: Check) -> Check:
        @functools.wraps(check)
        @told_to_the_user
        def judge(settings: Settings) -> dg.AssetCheckResult:
            store = open_store(settings)
            memory = _Memory(store, name)
            before, kept = _token(reads, store, settings), memory.read()
            if before is not None and kept.get("reads") == before:
                return dg.AssetCheckResult(passed=True, metadata=_values(kept["metadata"]))
            result = check(settings)
            facts = _known(result.metadata)
            stands = result.passed and facts is not None and before is not None
            if stands and before == _token(reads, store, settings):  # unchanged while the check ran
                memory.write({"reads": before, "metadata": facts})
            return result

        return judge

    return decorate


def stage_marks(store: Store, *names: str) -> list[str]:
    """Return the marks of stages, for `reads` and `makes`; without names, of every stage."""
    return _marks(store, "stages", names)


def table_marks(store: Store, *names: str) -> list[str]:
    """Return the marks of tables; without names, of every table."""
    return _marks(store, "tables", names)


def artifact_marks(store: Store, *names: str) -> list[str]:
    """Return the marks of artifacts with all their versions; without names, of every artifact."""
    return _marks(store, "artifacts", names)


def log_marks(store: Store, *names: str) -> list[str]:
    """Return the marks of logs; without names, of every log."""
    return _marks(store, "logs", names)


def _marks(store: Store, kind: str, names: Sequence[str]) -> list[str]:
    names = names or store.names(kind)
    return [f"{kind}/{name}: {store.mark(kind, name)}" for name in names]


def _made(makes: Marks, store: Store, settings: Settings) -> list[tuple[str, str]]:
    """Return the kind and the name of each stage, table, artifact and log that an asset wrote."""
    parts = [str(mark).split(": ")[0].split("/") for mark in makes(store, settings)]
    return [(part[0], part[1]) for part in parts if len(part) == 2]


def _linked(context: dg.AssetExecutionContext, name: str, result: dg.MaterializeResult) -> dg.MaterializeResult:
    """Return a result with pictures as links, in the order in which a person reads them: pictures, numbers, tables, JSON."""
    metadata = as_linked_pictures(context, name, result.metadata or {})
    order = (dg.MarkdownMetadataValue, (int, float, str, dg.IntMetadataValue, dg.FloatMetadataValue), TABLES)

    def place(entry: str) -> int:
        fits = [isinstance(metadata[entry], kinds) for kinds in order]
        return fits.index(True) if any(fits) else len(order)

    return result._replace(metadata={entry: metadata[entry] for entry in sorted(metadata, key=place)})


def _token(marks: Marks, store: Store, settings: Settings) -> str | None:
    files = list(marks(store, settings))
    if None in files:
        return None
    options = settings.model_dump(mode="json", exclude=NO_RESULT)
    return content_hash(files, json.dumps(options, sort_keys=True), code_mark())


@functools.cache
def code_mark() -> str:
    """Return a digest of the project's source; results of other versions of the code are not used again."""
    files = sorted(
        file for package in PACKAGES for kind in ("*.py", "*.jinja") for file in (PROJECT / package).rglob(kind)
    )
    return content_hash([file.read_bytes() for file in files])


class _Memory:
    """The last result of an asset or check, in a small file that is replaced atomically; a damaged file counts as absent."""

    def __init__(self, store: Store, name: str):
        self._file = store.root / "settled" / f"{name}.json"

    def read(self) -> dict[str, Any]:
        try:
            digest, text = self._file.read_text(encoding="utf-8").split("\n", 1)
            return json.loads(text) if digest == content_hash(text) else {}
        except (OSError, ValueError):
            return {}

    def write(self, facts: Mapping[str, Any]) -> None:
        text = json.dumps(facts)
        write_text(self._file, f"{content_hash(text)}\n{text}")

    def claimed(self) -> _Claim:
        """Return a context that discards the last result and marks the asset as being worked on by this process."""
        return _Claim(self)


class _Claim:
    """Records whether this process alone worked on an asset; two at once could mix rows of different settings."""

    def __init__(self, memory: _Memory):
        self._memory, self._own = memory, secrets.token_hex(8)
        mark = memory._file.with_suffix(".lock")
        self._alone = not is_present(mark)
        self._presence = present(mark)

    def __enter__(self) -> _Claim:
        self._presence.__enter__()
        self._memory.write({"claim": self._own})
        return self

    def __exit__(self, *error: object) -> None:
        self._presence.__exit__(*error)

    def holds(self) -> bool:
        """Whether no other process worked on the asset meanwhile."""
        return self._alone and self._memory.read().get("claim") == self._own


def _facts(result: dg.MaterializeResult) -> dict[str, Any] | None:
    """Return a result as JSON; None if a check failed or a metadata value has an unknown type, so it cannot be used again."""
    checks = list(result.check_results or ())
    metadata = [_known(part.metadata) for part in (result, *checks)]
    if None in metadata or not all(check.passed for check in checks):
        return None
    named_checks = [[check.check_name, values] for check, values in zip(checks, metadata[1:], strict=True)]
    version = None if result.data_version is None else result.data_version.value
    return {"metadata": metadata[0], "checks": named_checks, "data_version": version}


def _restored(kept: Mapping[str, Any], when_skipped: Callable[[Metadata], Metadata]) -> dg.MaterializeResult:
    checks = [
        dg.AssetCheckResult(check_name=check, passed=True, metadata=_values(values)) for check, values in kept["checks"]
    ]
    version = kept["data_version"]
    return dg.MaterializeResult(
        metadata=when_skipped(_values(kept["metadata"])),
        check_results=checks,
        data_version=None if version is None else dg.DataVersion(version),
    )


def _known(metadata: Metadata | None) -> dict[str, Any] | None:
    """Return metadata as JSON, name -> [type, value]; None if a value has a type not listed in `KINDS`."""
    names = [kind.__name__ for kind in KINDS]
    known = {}
    for name, value in (metadata or {}).items():
        kind = type(value).__name__
        if isinstance(value, TABLES):
            known[name] = [kind, dg.serialize_value(value)]
            continue
        if kind not in names and not isinstance(value, str | int | float | None):
            return None
        known[name] = [kind, value.value] if kind in names else [None, value]
    return known


def _values(known: Mapping[str, Any]) -> dict[str, Any]:
    constructors = {kind.__name__: make for kind, make in KINDS.items()}
    constructors |= {kind.__name__: dg.deserialize_value for kind in TABLES}
    return {name: value if kind is None else constructors[kind](value) for name, (kind, value) in known.items()}
