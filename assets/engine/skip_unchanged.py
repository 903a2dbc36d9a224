"""Skip an asset, or a check, of which nothing can have changed since it last ended.

A night with nothing new would otherwise read the state of every video in every stage, and count every label again. Here a
stage, table or artifact is named by its files' names, sizes and times of change (`storage.file_marks`), so that the cost
depends on the number of files, not of videos. Any other setting, and any change to the project's code, voids what is
remembered; so does a second process at the same asset.
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
from assets.engine.run_log import note_run
from assets.engine.store_access import open_store
from assets.settings import Settings
from storage.durable import write_text
from storage.file_marks import tree_mark
from storage.hashing import content_hash
from storage.process_lock import is_present, present
from storage.store import Store

Asset = Callable[[dg.AssetExecutionContext, Settings], dg.MaterializeResult]
Check = Callable[[Settings], dg.AssetCheckResult]
Marks = Callable[[Store, Settings], Sequence[str | None]]
Metadata = Mapping[str, Any]

PROJECT = Path(__file__).parents[2]
PACKAGES = ("assets", "models", "storage")
# Sections and settings that change neither a result nor a verdict.
NO_RESULT = {"store": True, "automation": True, "upkeep": True, "run": {"workers", "shard_size", "executor"}}
KINDS = {
    dg.TextMetadataValue: dg.MetadataValue.text,
    dg.BoolMetadataValue: dg.MetadataValue.bool,
    dg.JsonMetadataValue: dg.MetadataValue.json,
    dg.MarkdownMetadataValue: dg.MetadataValue.md,
    dg.IntMetadataValue: dg.MetadataValue.int,
    dg.FloatMetadataValue: dg.MetadataValue.float,
}


def skip_unchanged(
    name: str, *, reads: Marks, makes: Marks, when_skipped: Callable[[Metadata], Metadata] = dict
) -> Callable[[Asset], Asset]:
    """Decorate an asset: it is skipped while what it reads and what it made are as when it last ended.

    Args:
        name: of the asset.
        reads: marks of all that the asset reads beside the settings; None among them: it is never skipped.
        makes: marks of what it leaves behind.
        when_skipped: turns the metadata of the last materialisation into those of a skipped one.
    """

    def decorate(asset: Asset) -> Asset:
        @functools.wraps(asset)
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
                result = _restored(kept, when_skipped)
                context.log.info("%s: nothing changed since run %s", name, kept["run"])
                failed = result.metadata.get("rows_failed", 0)
                note_run(context, store, name, computed=0, failed=getattr(failed, "value", failed), seconds=0.0)
                return result
            with memory.claimed() as claim:
                result = asset(context, settings)
                facts = _facts(result)
                if before is not None and facts is not None and claim.holds():
                    made = _token(makes, store, settings)
                    memory.write({"reads": before, "made": made, "run": context.run.run_id, **facts})
            return result

        return run

    return decorate


def verdict_stands(name: str, *, reads: Marks) -> Callable[[Check], Check]:
    """Decorate an asset check: while what it reads is as when it last passed, that verdict is given again.

    A check that did not pass is always made again.
    """

    def decorate(check: Check) -> Check:
        @functools.wraps(check)
        def judge(settings: Settings) -> dg.AssetCheckResult:
            store = open_store(settings)
            memory = _Memory(store, name)
            before, kept = _token(reads, store, settings), memory.read()
            if before is not None and kept.get("reads") == before:
                return dg.AssetCheckResult(passed=True, metadata=_values(kept["metadata"]))
            result = check(settings)
            facts = _known(result.metadata)
            stands = result.passed and facts is not None and before is not None
            if stands and before == _token(reads, store, settings):  # nobody wrote meanwhile
                memory.write({"reads": before, "metadata": facts})
            return result

        return judge

    return decorate


def stage_marks(store: Store, *names: str) -> list[str]:
    """Marks of stages, for `reads` and `makes`; without names those of every stage."""
    return _marks(store, "stages", names)


def table_marks(store: Store, *names: str) -> list[str]:
    """Marks of tables."""
    return _marks(store, "tables", names)


def artifact_marks(store: Store, *names: str) -> list[str]:
    """Marks of artifacts, with all of their versions."""
    return _marks(store, "artifacts", names)


def _marks(store: Store, kind: str, names: Sequence[str]) -> list[str]:
    names = names or sorted(folder.name for folder in (store.root / kind).glob("*"))
    return [f"{kind}/{name}: {tree_mark(store.root / kind / name)}" for name in names]


def _token(marks: Marks, store: Store, settings: Settings) -> str | None:
    found = list(marks(store, settings))
    if None in found:
        return None
    chosen = settings.model_dump(mode="json", exclude=NO_RESULT)
    return content_hash(found, json.dumps(chosen, sort_keys=True), _code())


@functools.cache
def _code() -> str:
    """Digest of the project's own source: what another version of it found is not taken over."""
    files = sorted(file for package in PACKAGES for file in (PROJECT / package).rglob("*.py"))
    return content_hash([file.read_bytes() for file in files])


class _Memory:
    """What is remembered of one asset or check: a small file, replaced in one step. One that cannot be read is none."""

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
        """Forget what was remembered, and tell others that this process is at it."""
        return _Claim(self)


class _Claim:
    """Whether this process alone was at an asset: two at once may mix their rows, of different settings."""

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
        return self._alone and self._memory.read().get("claim") == self._own


def _facts(result: dg.MaterializeResult) -> dict[str, Any] | None:
    """What of a result can be given again, JSON-able; None where it must not be: a check of it failed."""
    checks = list(result.check_results or ())
    metadata = [_known(found.metadata) for found in (result, *checks)]
    if None in metadata or not all(check.passed for check in checks):
        return None
    named = [[check.check_name, told] for check, told in zip(checks, metadata[1:], strict=True)]
    version = None if result.data_version is None else result.data_version.value
    return {"metadata": metadata[0], "checks": named, "data_version": version}


def _restored(kept: Mapping[str, Any], when_skipped: Callable[[Metadata], Metadata]) -> dg.MaterializeResult:
    checks = [
        dg.AssetCheckResult(check_name=check, passed=True, metadata=_values(told)) for check, told in kept["checks"]
    ]
    version = kept["data_version"]
    return dg.MaterializeResult(
        metadata=when_skipped(_values(kept["metadata"])),
        check_results=checks,
        data_version=None if version is None else dg.DataVersion(version),
    )


def _known(metadata: Metadata | None) -> dict[str, Any] | None:
    """Metadata as JSON: [kind, value] by name; None where a value is of no kind that is known here."""
    names = [kind.__name__ for kind in KINDS]
    found = {}
    for name, value in (metadata or {}).items():
        kind = type(value).__name__
        if kind not in names and not isinstance(value, str | int | float | None):
            return None
        found[name] = [kind, value.value] if kind in names else [None, value]
    return found


def _values(known: Mapping[str, Any]) -> dict[str, Any]:
    made = {kind.__name__: make for kind, make in KINDS.items()}
    return {name: value if kind is None else made[kind](value) for name, (kind, value) in known.items()}
