"""`reelcast bank`: list, show, compare, activate and pin versions of the memory bank."""

import argparse
import json
from typing import Any

from rich.console import Console
from rich.table import Table

from pipeline.settings import load
from storage.artifact import Artifact
from storage.artifact_version import ArtifactVersion
from storage.durable import StoreError


def add(commands: Any) -> None:
    """Add `bank` and its actions to the parser's commands."""
    about = "versions of the memory bank: list, show, compare, activate (and roll back), pin"
    actions = commands.add_parser("bank", help=about).add_subparsers(dest="action", required=True)
    actions.add_parser("list", help="every version with its status and its measurements")
    actions.add_parser("show", help="a version with its checks").add_argument("version", type=int)
    compared = actions.add_parser("compare", help="members, versions, drift, recall and latency of two versions")
    compared.add_argument("older", type=int)
    compared.add_argument("newer", type=int)
    activated = actions.add_parser("activate", help="put a version in service; an earlier one rolls back")
    activated.add_argument("version", type=int)
    activated.add_argument("--force", action="store_true", help="allow a version that a check refused")
    actions.add_parser("pin", help="keep a version in service; new versions are built but not activated").add_argument(
        "version", type=int
    )
    actions.add_parser("unpin", help="activate new versions again")


def run(args: argparse.Namespace, console: Console) -> int:
    """Run an action.

    Args:
        args: Parsed arguments of `reelcast bank`.
        console: Where to print.

    Returns:
        The exit code.

    Raises:
        StoreError: The version does not exist, or it was refused and `--force` is missing.
    """
    from assets.engine.store_access import open_store
    from assets.memory.memory_bank import ACCEPTED, NAME, REFUSED

    artifact = open_store(load()).artifact(NAME)
    if args.action == "list":
        return _list(artifact, console)
    if args.action == "show":
        return _show(artifact, args.version, console)
    if args.action == "compare":
        return _compare(artifact, args.older, args.newer, console)
    if args.action == "unpin":
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
        return 0
    version = artifact.find(args.version)
    if version.metadata.get("status") == REFUSED and not getattr(args, "force", False):
        raise StoreError(
            f"version {version.version} was refused ({'; '.join(version.metadata['reasons'])}); to put it in service anyway: "
            f"`reelcast bank activate {version.version} --force`"
        )
    if args.action == "pin":
        artifact.pin(version.version)
        console.print(f"version {version.version} is in service and pinned")
    else:
        artifact.activate(version.version)
        console.print(f"version {version.version} is in service")
    return 0


def _list(artifact: Artifact, console: Console) -> int:
    versions, service, pinned = artifact.versions(), artifact.current(), artifact.pinned()
    if not versions:
        console.print("no version has been built; `dagster asset materialize --select memory_bank` builds one")
        return 0
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
    return 0


def _show(artifact: Artifact, number: int, console: Console) -> int:
    version = artifact.find(number)
    facts = dict(version.metadata)
    checks = facts.pop("checks", [])
    console.print(
        f"version {version.version}, built {version.created_at:%Y-%m-%d %H:%M:%S}, {version.path}",
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
    return 0


def _compare(artifact: Artifact, older: int, newer: int, console: Console) -> int:
    from storage.bank import compare

    found = compare(artifact, older, newer)
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
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
    return 0


def _built(version: ArtifactVersion) -> str:
    return f"{version.created_at:%Y-%m-%d %H:%M}, {version.metadata['members']:,} members"
