"""`reelcast check`: find what would stop a run, and damage in the store, and say how to mend it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from assets.settings import Settings
from storage.check import Finding, check_store
from storage.damage import DamageError
from storage.data_set_mark import marked_folder


@dataclass(frozen=True)
class Check:
    """One part of `reelcast check`.

    Attributes:
        name: Name of the checked part.
        find: Function of the settings and of `--deep` that yields the findings.
    """

    name: str
    find: Callable[[Settings, bool], Iterator[Finding]]


def _store(settings: Settings, deep: bool) -> Iterator[Finding]:
    root = Path(settings.store_folder())
    if not root.is_dir():
        yield Finding(str(root), "there is no store yet", "the first run creates it", "note")
        return
    yield from check_store(root, deep=deep)
    try:
        marked_folder(root)
    except DamageError as error:
        way_out = f"rm {shlex.quote(str(error.path))}, if the store was computed from {settings.data_folder()}"
        yield Finding(str(error.path), error.problem, way_out)


def _run(settings: Settings, deep: bool) -> Iterator[Finding]:
    from pipeline.lost_run import find_obstacles  # loads PyTorch

    yield from find_obstacles(settings)


RUN = Check("run", _run)
CHECKS = [RUN, Check("store", _store)]


def check(settings: Settings, console: Console, *, run_only: bool = False, deep: bool, as_json: bool) -> int:
    """Run all checks and print their findings.

    Args:
        settings: Settings that name the store.
        console: Where to print.
        run_only: Whether to leave out damage in the store, most of which the next run mends by itself.
        deep: Whether to read every byte.
        as_json: Whether to print one JSON object instead of lines.

    Returns:
        1 if there is a problem, else 0.
    """
    found = {one.name: list(one.find(settings, deep)) for one in ([RUN] if run_only else CHECKS)}
    problems = sum(finding.level == "problem" for findings in found.values() for finding in findings)
    if as_json:
        shown = {name: [asdict(finding) for finding in findings] for name, findings in found.items()}
        console.print(
            json.dumps({"problems": problems, "checks": shown}), markup=False, highlight=False, soft_wrap=True
        )
        return int(problems > 0)
    for name, findings in found.items():
        for finding in findings:
            way_out = f"\n    {finding.way_out}" if finding.way_out else ""
            text = f"{name}: {finding.subject}: {finding.problem}{way_out}"
            console.print(text, markup=False, highlight=False, soft_wrap=True)
        if all(finding.level == "note" for finding in findings):
            more = " (--deep reads every byte)" if name == "store" and not deep else ""
            console.print(f"{name}: nothing is wrong{more}", highlight=False)
    return int(problems > 0)
