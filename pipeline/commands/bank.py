"""`reelcast bank`: list, show, compare, activate, roll back and pin versions of the memory bank."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.commands.declaration import OK, AsJson, command, group, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from storage.artifact import Artifact
    from storage.artifact_version import ArtifactVersion

Number = Annotated[int, typer.Argument(help="Number of the version; `reelcast bank list` shows them.")]
Older = Annotated[int, typer.Argument(help="Number of the older version.")]
Newer = Annotated[int, typer.Argument(help="Number of the newer version.")]


def add(app: typer.Typer) -> None:
    """Add `bank` and its actions."""
    actions = group("bank", "Versions of the memory bank: list, show, compare, activate, roll back, pin.")
    for action, name, about, example in (
        (list_versions, "list", "Every version with its status and its measurements.", "list"),
        (show, "show", "A version with its checks.", "show 2"),
        (compare, "compare", "Members, encoders, drift, recall and latency of two versions, in short.", "compare 1 2"),
        (diff, "diff", "Every member that was added, removed or moved between two versions.", "diff 1 2"),
        (activate, "activate", "Put a version in service.", "activate 2"),
        (roll_back, "rollback", "Put the version in service that was in service before.", "rollback"),
        (pin, "pin", "Keep a version in service; new versions are built but not activated.", "pin 1"),
        (unpin, "unpin", "Activate new versions again.", "unpin"),
    ):
        command(actions, name, about=about, example=f"reelcast bank {example}")(action)
    app.add_typer(actions)


def list_versions(as_json: AsJson = False) -> int:
    """Print every version."""
    from rich.table import Table

    artifact = _artifact()
    versions, service, pinned = artifact.versions(), artifact.current(), artifact.pinned()
    if as_json:
        print_json(
            [
                {
                    **_facts(version),
                    "in_service": service is not None and service.version == version.version,
                    "pinned": version.version == pinned,
                }
                for version in versions
            ]
        )
        return OK
    console = _console()
    if not versions:
        console.print("no version has been built; `reelcast run --select memory_bank` builds one")
        return OK
    table = Table(box=None, pad_edge=False)
    for column in ("version", "built", "status", "members", "without feedback", "index", "recall", "latency"):
        table.add_column(column)
    for version in versions:
        facts, measured = version.metadata, version.metadata.get("measured", {})
        marks = ["in service"] if service is not None and service.version == version.version else []
        marks += ["pinned"] if version.version == pinned else []
        table.add_row(
            str(version.version),
            version.created_at.strftime("%Y-%m-%d %H:%M"),
            ", ".join([*marks, facts.get("status", "not checked")]),
            f"{facts['members']:,}",
            f"{facts['members'] - facts['with_temporal']:,}",
            measured.get("index", ""),
            f"{measured['recall']:.3f}" if measured else "",
            f"{measured['latency_ms']:.1f} ms" if measured else "",
        )
    console.print(table)
    return OK


def show(version: Number, as_json: AsJson = False) -> int:
    """Print a version with its checks."""
    found = _artifact().find(version)
    if as_json:
        print_json(_facts(found))
        return OK
    console, facts = _console(), dict(found.metadata)
    checks = facts.pop("checks", [])
    console.print(
        f"version {found.version}, built {found.created_at:%Y-%m-%d %H:%M:%S}, {found.path}",
        markup=False,
        soft_wrap=True,
    )
    console.print(json.dumps(facts, indent=2), markup=False, highlight=False, soft_wrap=True)
    for check in checks:
        state = "passed" if check["passed"] else "FAILED"
        figures = "" if check["value"] is None else f" {check['value']:.4g} (limit {check['limit']:g})"
        console.print(
            f"{state} {check['check']}{figures}: {check['told']}", markup=False, highlight=False, soft_wrap=True
        )
    return OK


def compare(
    older: Older,
    newer: Newer,
    forecasts: Annotated[
        bool, typer.Option("--forecasts", help="Forecast the same items with both; what is in service stays.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Print how two versions differ, in short, or how the forecasts with them differ."""
    if forecasts:
        return _compare_forecasts(older, newer, as_json)
    from dataclasses import asdict

    from storage.bank import compare as compare_versions

    found = compare_versions(_artifact(), older, newer)
    if as_json:
        print_json({**asdict(found), "older": _facts(found.older), "newer": _facts(found.newer)})
        return OK
    lines = [f"version {older} ({_built(found.older)}) and version {newer} ({_built(found.newer)})"]
    lines += [
        f"{name:9s}{len(items):,}" + (f": {', '.join(items[:10])}{', ...' * (len(items) > 10)}" if items else "")
        for name, items in (("added", found.added), ("removed", found.removed), ("moved", found.moved))
    ]
    for name, drift in (("content", found.content_drift), ("temporal", found.temporal_drift)):
        if drift is None:
            lines.append(f"drift    {name}: fewer than two vectors to compare")
        else:
            energy = "not comparable, made by other versions"
            if drift.energy is not None:
                energy = f"energy coefficient {drift.energy:.4f}, mean moved by {drift.mean_shift:.3f} of the spread"
            lines.append(f"drift    {name}: {energy}; similarities among members differ by {drift.similarities:.3f}")
    for name, (before, after) in found.versions.items():
        lines.append(f"made of  {name}: {before} -> {after}")
    for measure, unit in (("recall", ""), ("latency_ms", " ms"), ("queries_per_second", " queries/s")):
        pair = [version.metadata.get("measured", {}).get(measure) for version in (found.older, found.newer)]
        before, after = ("not measured" if value is None else f"{value:,.4g}{unit}" for value in pair)
        lines.append(f"{measure.split('_')[0]:9s}{before} -> {after}")
    _say(_console(), "\n".join(lines))
    return OK


def _compare_forecasts(older: int, newer: int, as_json: bool) -> int:
    from pipeline.project import load_project
    from pipeline.version_trials import compare_banks
    from pipeline.version_trials_text import show_trial

    names = tuple(f"version {number} of the bank" for number in (older, newer))
    show_trial(*compare_banks(load_project(), older, newer), names=names, as_json=as_json)
    return OK


def diff(older: Older, newer: Newer, as_json: AsJson = False) -> int:
    """Print one line per member that differs."""
    from storage.bank import compare as compare_versions

    found = compare_versions(_artifact(), older, newer)
    changes = {"added": found.added, "removed": found.removed, "moved": found.moved}
    if as_json:
        print_json(changes)
        return OK
    lines = [f"{name} {item}" for name, items in changes.items() for item in items]
    _say(_console(), "\n".join(lines) or "the members are the same")
    return OK


def activate(
    version: Number,
    force: Annotated[bool, typer.Option("--force", help="Allow a version that a check refused.")] = False,
) -> int:
    """Put a version in service."""
    artifact = _artifact()
    _refuse_refused(artifact, version, force)
    artifact.activate(version)
    _console().print(f"version {version} is in service")
    return OK


def roll_back() -> int:
    """Put the version before the present one in service."""
    _console().print(f"version {_artifact().rollback().version} is in service")
    return OK


def pin(version: Number) -> int:
    """Put a version in service, and keep it there."""
    artifact = _artifact()
    _refuse_refused(artifact, version, force=False)
    artifact.pin(version)
    _console().print(f"version {version} is in service and pinned")
    return OK


def unpin() -> int:
    """Activate new versions again."""
    from assets.memory.memory_bank import ACCEPTED

    artifact, console = _artifact(), _console()
    artifact.unpin()
    console.print("no version is pinned")
    service = artifact.current()
    newest = artifact.versions()[-1] if service else None
    if newest and newest.version > service.version and newest.metadata.get("status") == ACCEPTED:
        console.print(
            f"version {newest.version} passed its checks and waits beside version {service.version}: "
            f"`reelcast bank activate {newest.version}` puts it in service",
            soft_wrap=True,
        )
    return OK


def _artifact() -> Artifact:
    from assets.engine.store_access import open_store
    from assets.memory.memory_bank import NAME
    from pipeline.project import load_project

    return open_store(load_project()).artifact(NAME)


def _console() -> Console:
    from rich.console import Console

    return Console()


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _refuse_refused(artifact: Artifact, number: int, force: bool) -> None:
    """Raise a StoreError for a version that does not exist, or that a check refused unless `force` is set."""
    from assets.memory.memory_bank import REFUSED
    from storage.durable import StoreError

    version = artifact.find(number)
    if version.metadata.get("status") == REFUSED and not force:
        raise StoreError(
            f"version {number} was refused ({'; '.join(version.metadata['reasons'])}); to put it in service anyway: "
            f"`reelcast bank activate {number} --force`"
        )


def _facts(version: ArtifactVersion) -> dict[str, Any]:
    return {"version": version.version, "built": version.created_at, "path": version.path, **version.metadata}


def _built(version: ArtifactVersion) -> str:
    return f"{version.created_at:%Y-%m-%d %H:%M}, {version.metadata['members']:,} members"
