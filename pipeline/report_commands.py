"""`reelcast leaderboard`, `ablations`, `leak-audit` and `scenarios`: run models under several settings, and compare them."""

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
    parts = commands.add_parser(
        "ablations", help="run a predictor without one of its parts at a time, as its paper does"
    )
    parts.add_argument("--of", required=True, help="name of the predictor, such as m3tr or mmra")
    parts.add_argument("--seeds", type=int, default=3, help="number of seeds per row (default: 3)")
    commands.add_parser(
        "scenarios", help="give test videos fake likes, an early surge, ..., and see how far forecasts move"
    )
    audit = commands.add_parser(
        "leak-audit", help="plant one leak at a time, and measure how much it flatters every model"
    )
    audit.add_argument("--models", default="all", help="names of model.train with commas, or all (default)")
    audit.add_argument("--seeds", type=int, default=3, help="number of seeds per model (default: 3)")


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

    from assets.reports.leaderboard import NAME, leaderboard, protocol_arm
    from assets.reports.protocols import PROTOCOLS
    from pipeline.studies import materialise, run_arms

    settings, console, names = load(), Console(), args.protocols.split(",")
    if unknown := [name for name in names if name not in PROTOCOLS]:
        raise InvalidSettings(f"--protocols: {unknown[0]!r} is unknown; allowed: {', '.join(PROTOCOLS)}")
    changes = {"model": {"train": models(args.models), "seeds": seeds(args.seeds)}}
    run_arms(settings, [protocol_arm(name, changes) for name in names], console)
    materialise(settings, dg.AssetSelection.assets(leaderboard))
    show(console, settings.results_folder() / f"{NAME}.md")
    return 0


def ablations(args: argparse.Namespace) -> int:
    """Run the ablations of a predictor, and write their report."""
    from assets.reports.ablations import ablation_arms, report_ablations
    from pipeline.studies import run_arms

    settings, console = load(), Console()
    try:
        arms = ablation_arms(args.of, seeds=seeds(args.seeds))
    except ValueError as error:
        raise InvalidSettings(f"--of: {error}") from error
    run_arms(settings, arms, console)
    report_ablations(settings, args.of)
    show(console, settings.results_folder() / f"ablations_{args.of}.md")
    return 0


def leak_audit(args: argparse.Namespace) -> int:
    """Run the honest protocols and every leak, and write the audit's report."""
    from assets.reports.leak_audit import audit_arms, report_audit
    from assets.settings.audit import STUDY
    from pipeline.studies import run_arms

    settings, console = load(), Console()
    run_arms(settings, audit_arms(settings, models=models(args.models), seeds=seeds(args.seeds)), console)
    report_audit(settings)
    show(console, settings.results_folder() / f"{STUDY}.md")
    return 0


def scenarios(args: argparse.Namespace) -> int:
    """Forecast the test items in every scenario, and write the report."""
    from assets.engine.store_access import open_store
    from assets.reports.scenarios import STUDY, report_scenarios
    from pipeline.studies import run_scenarios

    settings, console = load(), Console()
    run_scenarios(settings, console)
    report_scenarios(settings, open_store(settings))
    show(console, settings.results_folder() / f"{STUDY}.md")
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


ACTIONS = {"leaderboard": leaderboard, "ablations": ablations, "leak-audit": leak_audit, "scenarios": scenarios}
COMMANDS = dict.fromkeys(ACTIONS, run)
