"""`reelcast`: what a person asks the store in a shell, and the environments of libraries that need one."""

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown

from assets.engine.store_access import OtherDataSet
from models.encoders.errors import EncoderError
from models.encoders.isolated.environments import LIBRARIES, make
from pipeline import bank_commands
from pipeline.check import check
from pipeline.settings import InvalidSettings, load, reference, sections
from storage.datasets.errors import DatasetError
from storage.durable import StoreError


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="reelcast", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("results", help="the evaluation's table, the failed rows, and where the results lie")
    asked = commands.add_parser("settings", help="every setting with its value and what it does")
    asked.add_argument("--markdown", action="store_true", help="the reference with the defaults (docs/settings.md)")
    planned = commands.add_parser("plan", help="what a run would compute, stage by stage, and why; computes nothing")
    planned.add_argument("--stage", help="the items of this stage, one a line, with the reason for each")
    checked = commands.add_parser("check", help="what is damaged in the store, and the way out; changes nothing")
    checked.add_argument("--deep", action="store_true", help="read every byte, instead of footers, sizes and states")
    checked.add_argument("--json", action="store_true", help="one JSON object, for programs")
    bank_commands.add(commands)
    made = commands.add_parser("environment", help="make the environment of a library that needs one of its own")
    made.add_argument("library", choices=LIBRARIES)
    given = parser.parse_args(arguments)
    try:
        if given.command == "bank":
            return bank_commands.run(given, Console())
        if given.command == "environment":
            make(given.library, root=load().encoders.environments)
            return 0
        if given.command == "results":
            return results(Console())
        if given.command == "plan":
            return plan(Console(), stage=given.stage)
        if given.command == "check":
            return check(load(), Console(), deep=given.deep, as_json=given.json)
        return settings(Console(), markdown=given.markdown)
    except subprocess.CalledProcessError as error:
        print(f"reelcast: {shlex.join(error.cmd)} failed; what it said is above", file=sys.stderr)
        return 1
    except (InvalidSettings, StoreError, DatasetError, EncoderError, OtherDataSet) as error:
        print(f"reelcast: {error}", file=sys.stderr)
        return 2


def results(console: Console) -> int:
    """Print the last evaluation and what failed on the way to it."""
    from assets.engine.failure_checks import damages, failures
    from assets.engine.store_access import open_store

    chosen = load()
    folder = Path(chosen.store.results).expanduser().resolve()
    report = folder / "evaluation.md"
    if not report.is_file():
        print(
            f"reelcast: no evaluation in {folder}; run `make demo` or `dagster asset materialize --select '*'`",
            file=sys.stderr,
        )
        return 1
    console.print(Markdown(report.read_text(encoding="utf-8")))
    store = open_store(chosen)
    failed, damaged = failures(store), damages(store)
    if len(damaged):
        console.print(f"\n{damaged['item'].n_unique()} damaged files, used in part:")
        for item, damage in damaged.head(20).iter_rows():
            console.print(f"  {item}: {damage}", markup=False, highlight=False)
    if len(failed):
        console.print(f"\n{len(failed)} failed rows (stage, item, reason):")
        for stage, item, kind, message in failed.head(20).iter_rows():
            console.print(f"  {stage:20s} {item}: {kind}: {message}", markup=False, highlight=False)
    console.print(f"\nresults: {folder}\nstore:   {chosen.store_folder()}", markup=False, highlight=False)
    return 0


def plan(console: Console, *, stage: str | None) -> int:
    """Print what a run would compute now; with `stage`, item by item."""
    from pipeline.definitions import defs
    from pipeline.planning import plan_run, show, show_items

    stages = plan_run(load(), defs)
    if stage is None:
        show(console, stages)
        return 0
    chosen = [found for found in stages if found.name == stage]
    if not chosen:
        names = ", ".join(found.name for found in stages)
        print(f"reelcast: there is no stage {stage!r}; allowed are {names}", file=sys.stderr)
        return 2
    show_items(console, chosen[0])
    return 0


def settings(console: Console, *, markdown: bool) -> int:
    """Print every setting with its value, or the reference."""
    if markdown:
        print(reference(), end="")
        return 0
    chosen = load()
    for name, schema in sections().items():
        console.print(f"\n[{name}]  {(schema.__doc__ or '').strip()}", markup=False)
        values = getattr(chosen, name)
        for field, described in schema.model_fields.items():
            console.print(f"  {field} = {getattr(values, field)!r}", markup=False)
            console.print(f"      {described.description}", markup=False, style="dim")
    return 0


if __name__ == "__main__":
    sys.exit(main())
