"""One materialisation of the whole graph in a process of its own, measured stage by stage.

    python -m tests.benchmarks.night REPORT

The report is JSON: `stages` (name -> `cpu`, `seconds`, `peak_mb`, checks included) and `peak_gib` of the whole process. The
stage `start-up` is everything before the first stage.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

STARTED = time.monotonic()
CLEAR_PEAK = Path("/proc/self/clear_refs")


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of its finished children."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in usage)


def peak_mb() -> float:
    """Return the largest resident memory of this process in MB since the last call (Linux), and start anew."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    peak = next(float(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    CLEAR_PEAK.write_text("5", encoding="ascii")
    return peak / 1024


def run_graph(report: Path) -> None:
    """Materialise the whole graph in this process, and write what each stage cost to `report`."""
    import dagster as dg

    from pipeline.definitions import ASSET_CHECKS, ASSETS, settings

    names = [key.to_python_identifier() for asset in ASSETS for key in asset.keys]
    cpu, clock = cpu_seconds(), time.monotonic()
    stages = {"start-up": {"cpu": cpu, "seconds": clock - STARTED, "peak_mb": peak_mb()}}
    highest = stages["start-up"]["peak_mb"]

    @dg.success_hook
    def note_costs(context: dg.HookContext) -> None:
        nonlocal cpu, clock, highest
        # a check's step is named after its stage, and then the check
        stage = max((name for name in names if context.op.name.startswith(name)), key=len)
        costs = stages.setdefault(stage, {"cpu": 0.0, "seconds": 0.0, "peak_mb": 0.0})
        now, then, peak = cpu_seconds(), time.monotonic(), peak_mb()
        costs["cpu"] += now - cpu
        costs["seconds"] += then - clock
        costs["peak_mb"] = max(costs["peak_mb"], peak)
        cpu, clock, highest = now, then, max(highest, peak)

    job = dg.define_asset_job("night", hooks={note_costs}, executor_def=dg.in_process_executor)
    graph = dg.Definitions(ASSETS, asset_checks=ASSET_CHECKS, jobs=[job], resources={"settings": settings})
    with dg.DagsterInstance.get() as instance:
        graph.resolve_job_def("night").execute_in_process(instance=instance)
    report.write_text(json.dumps({"stages": stages, "peak_gib": highest / 1024}), encoding="utf-8")


def run_night(
    folder: Path, report: Path, options: Mapping[str, str], module: str = "tests.benchmarks.night", *arguments: str
) -> dict[str, object]:
    """Run the graph in a process of its own on the data set in `folder/data`, and return its report.

    Args:
        folder: Has the data set in `data`; the store, the results and Dagster's home are made beside it.
        report: File of the report.
        options: Settings, by name after `REELCAST_`, such as `MODEL__MAX_EPOCHS`.
        module: What runs: a module, and its arguments before the report's file.
    """
    home = folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    variables = {
        "REELCAST_DATA__FOLDER": str(folder / "data"),
        "REELCAST_STORE__PATH": str(folder / "store"),
        "REELCAST_STORE__RESULTS": str(folder / "results"),
        "DAGSTER_HOME": str(home),
        **{f"REELCAST_{name}": value for name, value in options.items()},
    }
    with (folder / "run.log").open("w") as log:
        command = [sys.executable, "-m", module, *arguments, str(report)]
        subprocess.run(command, env={**os.environ, **variables}, stdout=log, stderr=subprocess.STDOUT, check=True)
    return json.loads(report.read_text(encoding="utf-8"))


if __name__ == "__main__":
    run_graph(Path(sys.argv[1]))
