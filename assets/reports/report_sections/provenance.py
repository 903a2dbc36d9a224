"""What made the report: versions of software and of what is in service, settings, and the last runs."""

from __future__ import annotations

import functools
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version

from assets.engine.skip_unchanged import NO_RESULT, PROJECT
from assets.reports.document import Grid, Heading
from assets.reports.page import Folded, PageBlock
from assets.settings import Settings
from storage.store import Store

LIBRARIES = ("reelcast", "torch", "dagster", "catboost", "polars", "numpy", "faiss-cpu", "faiss-gpu-cu12")
UNSHOWN = {**NO_RESULT, "data": {"folder"}}


def provenance(store: Store, settings: Settings) -> list[PageBlock]:
    """Return versions, settings that differ from their defaults, and the last materialisation of each asset."""
    software = [("Python", platform.python_version())]
    for library in LIBRARIES:
        try:
            software.append((library, version(library)))
        except PackageNotFoundError:
            continue
    service = []
    for name in store.names("artifacts"):
        current = store.artifact(name).current()
        if current is not None and not name.startswith("pack_"):
            service.append((name, str(current.version)))
    chosen = changed_settings(settings)
    runs = store.log("runs").read()
    blocks: list[PageBlock] = [
        Grid(["software", "version"], software, texts=frozenset({1})),
        Heading("Settings that differ from their defaults", 3),
        Grid(["setting", "value"], chosen or [("none", "")], texts=frozenset({1})),
        Folded("Versions in service", [Grid(["artifact", "version"], service)]),
    ]
    if len(runs):
        last = runs.sort("finished_at").group_by("asset", maintain_order=True).last().sort("finished_at")
        rows = [
            [
                row["asset"],
                f"{row['finished_at']:%Y-%m-%d %H:%M:%S} UTC",
                f"{row['computed']:,}",
                f"{row['seconds']:.1f}",
            ]
            for row in last.select("asset", "finished_at", "computed", "seconds").iter_rows(named=True)
        ]
        blocks.append(Folded("Last run of each asset", [Grid(["asset", "finished", "rows computed", "seconds"], rows)]))
    return blocks


def changed_settings(settings: Settings) -> list[tuple[str, str]]:
    """Return the settings that differ from their defaults, as (section.field, value), without those that change no result."""
    own, default = (one.model_dump(mode="json", exclude=UNSHOWN) for one in (settings, Settings()))
    return [
        (f"{section}.{field}", str(value))
        for section, fields in own.items()
        for field, value in fields.items()
        if value != default[section][field]
    ]


@functools.cache
def commit() -> str | None:
    """Return the commit of the project's folder, marked if files differ from it; None outside a checkout."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
