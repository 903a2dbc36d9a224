"""`reelcast leaderboard`, `ablations`, `leak-audit` and `scenarios`: run models under several settings, and compare them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.declaration import OK, AsJson, command, print_json, progress_console
from pipeline.errors import WrongUse

if TYPE_CHECKING:
    from rich.console import Console

    from assets.settings import Settings

Models = Annotated[str, typer.Option(help="Names of model.train with commas, or all.")]
Seeds = Annotated[int, typer.Option(min=1, help="Number of seeds per model.")]


def add(app: typer.Typer) -> None:
    """Add the commands."""
    for function, name, about, example in (
        (
            leaderboard,
            "leaderboard",
            "Run every model under several protocols, and write one table of them.",
            "leaderboard --models boosting,m3tr --seeds 3",
        ),
        (
            ablations,
            "ablations",
            "Run a predictor without one of its parts at a time, as its paper does.",
            "ablations --of m3tr --rows noTemporal",
        ),
        (
            leak_audit,
            "leak-audit",
            "Plant one leak at a time, and measure how much it flatters every model.",
            "leak-audit --models boosting --seeds 1",
        ),
        (
            scenarios,
            "scenarios",
            "Give test videos fake likes, an early surge, ..., and see how far forecasts move.",
            "scenarios",
        ),
    ):
        command(app, name, about=about, example=f"reelcast {example}")(function)


def leaderboard(
    protocols: Annotated[
        str, typer.Option(help="random, chronological, or both with a comma.")
    ] = "random,chronological",
    models: Models = "all",
    seeds: Seeds = 5,
    as_json: AsJson = False,
) -> int:
    """Fill the protocols' stores, and write the leaderboard over them."""
    import dagster as dg

    from assets.reports.leaderboard import NAME, protocol_arm
    from assets.reports.leaderboard import leaderboard as leaderboard_asset
    from assets.reports.protocols import PROTOCOLS
    from pipeline.project import load_project
    from pipeline.studies import materialise, run_arms

    settings, console, names = load_project(), progress_console(as_json), protocols.split(",")
    if unknown := [name for name in names if name not in PROTOCOLS]:
        raise WrongUse(f"--protocols: {unknown[0]!r} is unknown; allowed: {', '.join(PROTOCOLS)}")
    changes = {"model": {"train": _models(models), "seeds": list(range(seeds))}}
    run_arms(settings, [protocol_arm(name, changes) for name in names], console)
    materialise(settings, dg.AssetSelection.assets(leaderboard_asset))
    return show_report(settings, NAME, console, as_json=as_json)


def ablations(
    of: Annotated[str, typer.Option(help="Name of the predictor, such as m3tr or mmra.")],
    rows: Annotated[
        str | None, typer.Option(help="Ends of the rows' titles with commas, such as noTemporal; by default all rows.")
    ] = None,
    seeds: Seeds = 3,
    as_json: AsJson = False,
) -> int:
    """Run the ablations of a predictor, and write their report."""
    from assets.reports.ablations import ablation_arms, report_ablations
    from pipeline.project import load_project
    from pipeline.studies import run_arms

    settings, console = load_project(), progress_console(as_json)
    try:
        arms = ablation_arms(of, seeds=list(range(seeds)), rows=rows.split(",") if rows else ())
    except ValueError as error:
        raise WrongUse(str(error)) from error
    run_arms(settings, arms, console)
    report_ablations(settings, of)
    return show_report(settings, f"ablations_{of}", console, as_json=as_json)


def leak_audit(models: Models = "all", seeds: Seeds = 3, as_json: AsJson = False) -> int:
    """Run the honest protocols and every leak, and write the audit's report."""
    from assets.reports.leak_audit import audit_arms, report_audit
    from assets.settings.audit import STUDY
    from pipeline.project import load_project
    from pipeline.studies import run_arms

    settings, console = load_project(), progress_console(as_json)
    run_arms(settings, audit_arms(settings, models=_models(models), seeds=list(range(seeds))), console)
    report_audit(settings)
    return show_report(settings, STUDY, console, as_json=as_json)


def scenarios(as_json: AsJson = False) -> int:
    """Forecast the test items in every scenario, and write the report."""
    from assets.engine.store_access import open_store
    from assets.reports.scenarios import STUDY, report_scenarios
    from pipeline.project import load_project
    from pipeline.studies import run_scenarios

    settings, console = load_project(), progress_console(as_json)
    run_scenarios(settings, console)
    report_scenarios(settings, open_store(settings))
    return show_report(settings, STUDY, console, as_json=as_json)


def _models(named: str) -> list[str]:
    """Return the names in a `--models` argument; "all" stands for every predictor and the stack."""
    from models.predictor_table import CLASSES, STACK

    return [*CLASSES, STACK] if named == "all" else named.split(",")


def show_report(settings: Settings, name: str, console: Console, *, as_json: bool) -> int:
    """Print the report of a study and the folder that it lies in, or the rows of its table as JSON.

    Args:
        settings: The settings.
        name: Name of the study's table and of its files.
        console: Where to print the report.
        as_json: Whether to print the rows instead.
    """
    if as_json:
        from assets.engine.store_access import open_store

        print_json(open_store(settings).table(name).read().to_dicts())
        return OK

    from rich.markdown import Markdown

    report = settings.results_folder() / f"{name}.md"
    console.print(Markdown(report.read_text(encoding="utf-8")))
    console.print(f"\n{report} and {report.with_suffix('.html')}", markup=False, highlight=False, soft_wrap=True)
    return OK
