"""`reelcast`: inspect a data set's store, select its Dagster instance, and create environments for encoders."""

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Callable

from rich.console import Console

from models.encoders.errors import EncoderError
from models.encoders.isolated.environments import LIBRARIES, make
from pipeline import bank_commands, report_commands, search_command
from pipeline.settings import InvalidSettings, load, reference, sections
from storage.datasets.errors import DatasetError
from storage.durable import StoreError

# Each command imports its modules inside its function, because importing Dagster's graph takes seconds.


def main(arguments: list[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: Command-line arguments; those of the process by default.

    Returns:
        The exit code: 0 for success, 1 for a failure, 2 for wrong input or settings.
    """
    args = _parser().parse_args(arguments)
    try:
        return COMMANDS[args.command](args)
    except subprocess.CalledProcessError as error:
        print(f"reelcast: {shlex.join(error.cmd)} failed; its output is above", file=sys.stderr)
        return 1
    except (InvalidSettings, StoreError, DatasetError, EncoderError) as error:
        print(f"reelcast: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="reelcast", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("results", help="print the evaluation's table, the failed rows and the folders")
    settings_parser = commands.add_parser("settings", help="print every setting with its value and its description")
    settings_parser.add_argument(
        "--markdown", action="store_true", help="print the reference with the defaults (docs/settings.md)"
    )
    plan_parser = commands.add_parser("plan", help="print what a run would compute, and why, without running it")
    plan_parser.add_argument("--stage", help="print each item of this stage with its reason")
    sql_parser = commands.add_parser("sql", help="query the store's catalog, read-only, also during a run")
    sql_parser.add_argument("query", nargs="?", help="one SQL statement; by default the names of all views")
    commands.add_parser(
        "shell", help='print shell variables of this data set\'s Dagster instance: eval "$(reelcast shell)"'
    )
    clean_parser = commands.add_parser("clean", help="delete this data set's store and results, not its data")
    clean_parser.add_argument("--yes", action="store_true", help="delete without a question")
    check_parser = commands.add_parser(
        "check", help="find damage in the store, and say how to mend it; changes nothing"
    )
    check_parser.add_argument(
        "--deep", action="store_true", help="read every byte instead of footers, sizes and states"
    )
    check_parser.add_argument("--json", action="store_true", help="print one JSON object")
    bank_commands.add(commands)
    report_commands.add(commands)
    search_command.add(commands)
    environment_parser = commands.add_parser(
        "environment", help="create the environment of a library that needs its own"
    )
    environment_parser.add_argument("library", choices=LIBRARIES)
    return parser


def results(args: argparse.Namespace) -> int:
    """Print the last evaluation, damaged files and failed rows."""
    from rich.markdown import Markdown

    from assets.engine.failure_checks import damages, failures
    from assets.engine.store_access import open_store

    console, chosen = Console(), load()
    folder = chosen.results_folder()
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


def plan(args: argparse.Namespace) -> int:
    """Print what a run would compute now; with `--stage`, one line per item."""
    from pipeline.definitions import defs
    from pipeline.planning import plan_run, show, show_items

    console, stages = Console(), plan_run(load(), defs)
    if args.stage is None:
        show(console, stages)
        return 0
    chosen = [found for found in stages if found.name == args.stage]
    if not chosen:
        names = ", ".join(found.name for found in stages)
        print(f"reelcast: there is no stage {args.stage!r}; allowed are {names}", file=sys.stderr)
        return 2
    show_items(console, chosen[0])
    return 0


def settings(args: argparse.Namespace) -> int:
    """Print every setting with its value, or the reference."""
    if args.markdown:
        print(reference(), end="")
        return 0
    console, chosen = Console(), load()
    for name, schema in sections().items():
        console.print(f"\n[{name}]  {(schema.__doc__ or '').strip()}", markup=False)
        values = getattr(chosen, name)
        for field, described in schema.model_fields.items():
            console.print(f"  {field} = {getattr(values, field)!r}", markup=False)
            console.print(f"      {described.description}", markup=False, style="dim")
    return 0


def sql(args: argparse.Namespace) -> int:
    """Print the result of a catalog query, at most forty rows."""
    import duckdb

    from assets.engine.store_access import open_store
    from storage.catalog import connect

    with connect(open_store(load())) as connection:
        try:
            found = connection.sql(args.query or "SHOW TABLES")
        except duckdb.Error as error:
            print(f"reelcast: {error}", file=sys.stderr)
            return 2
        if found is not None:
            found.show()
    return 0


def check(args: argparse.Namespace) -> int:
    """Print damage in the store."""
    from pipeline.check import check as check_all

    return check_all(load(), Console(), deep=args.deep, as_json=args.json)


def shell(args: argparse.Namespace) -> int:
    """Print the shell variables that select the Dagster instance of this data set."""
    from pipeline.instance import shell_variables

    print(shell_variables(load(), os.environ), end="")
    return 0


def clean(args: argparse.Namespace) -> int:
    """Delete the store and the results of this data set after a question."""
    from pipeline.cleaning import delete_computed

    return 0 if delete_computed(load(), ask=None if args.yes else input) else 1


def environment(args: argparse.Namespace) -> int:
    """Create the environment of a library that needs its own."""
    make(args.library, root=load().encoders.environments)
    return 0


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "results": results,
    "settings": settings,
    "plan": plan,
    "sql": sql,
    "check": check,
    "shell": shell,
    "clean": clean,
    "bank": lambda args: bank_commands.run(args, Console()),
    "search": lambda args: search_command.run(args, Console()),
    "environment": environment,
    **report_commands.COMMANDS,
}


if __name__ == "__main__":
    sys.exit(main())
