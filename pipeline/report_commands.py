"""`reelcast leaderboard`: run every model under several protocols, and compare them on the same items."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from rich.console import Console
from rich.markdown import Markdown

from pipeline.settings import InvalidSettings, load


def add(commands: Any) -> None:
    """Add the commands to the parser's commands."""
    board = commands.add_parser(
        "leaderboard", help="run every model under several protocols, and write one table of them"
    )
    board.add_argument(
        "--protocols", default="random,chronological", help="random, chronological, or both (default), with a comma"
    )
    board.add_argument("--models", default="all", help="names of model.train with commas, or all (default)")
    board.add_argument("--seeds", type=int, default=5, help="number of seeds per model (default: 5)")


def run(args: argparse.Namespace) -> int:
    """Run a command; the exit code is 1 if a run of the graph failed."""
    from pipeline.studies import RunFailed

    try:
        return ACTIONS[args.command](args)
    except RunFailed as error:
        print(f"reelcast: {error}", file=sys.stderr)
        return 1


def leaderboard(args: argparse.Namespace) -> int:
    """Fill the protocols' stores, and write the leaderboard over them."""
    import dagster as dg

    from assets.reports.leaderboard import NAME, PROTOCOLS, leaderboard, protocol_arm
    from pipeline.studies import materialise, run_arms

    settings, console, names = load(), Console(), args.protocols.split(",")
    if unknown := [name for name in names if name not in PROTOCOLS]:
        raise InvalidSettings(f"--protocols: {unknown[0]!r} is unknown; allowed: {', '.join(PROTOCOLS)}")
    changes = {"model": {"train": models(args.models), "seeds": seeds(args.seeds)}}
    run_arms(settings, [protocol_arm(name, changes) for name in names], console)
    materialise(settings, dg.AssetSelection.assets(leaderboard))
    show(console, settings.results_folder() / f"{NAME}.md")
    return 0


def models(named: str) -> list[str]:
    """Return the names in a `--models` argument; "all" stands for every predictor and the stack."""
    from models.predictor_table import CLASSES, STACK

    return [*CLASSES, STACK] if named == "all" else named.split(",")


def seeds(count: int) -> list[int]:
    """Return the seeds that a `--seeds` argument stands for.

    Raises:
        InvalidSettings: The number is below 1.
    """
    if count < 1:
        raise InvalidSettings(f"--seeds must be at least 1, given {count}")
    return list(range(count))


def show(console: Console, report: Any) -> None:
    """Print a report and the folder that it lies in."""
    console.print(Markdown(report.read_text(encoding="utf-8")))
    console.print(f"\n{report} and {report.with_suffix('.html')}", markup=False, highlight=False, soft_wrap=True)


ACTIONS = {"leaderboard": leaderboard}
COMMANDS = dict.fromkeys(ACTIONS, run)
