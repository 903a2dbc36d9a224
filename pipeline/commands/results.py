"""`reelcast results`: the last evaluation, failed rows, and where everything lies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pipeline.commands.declaration import OK, AsJson, command, print_json
from pipeline.errors import RunFailed

if TYPE_CHECKING:
    from rich.console import Console

    from assets.settings import Settings

SHOWN = 20


def add(app: typer.Typer) -> None:
    """Add the command."""
    about = "Print the evaluation's table with its warnings, failed rows, and the folders."
    command(app, "results", about=about, example="reelcast results --json")(results)


def results(as_json: AsJson = False) -> int:
    """Print the last evaluation."""
    from rich.console import Console

    from pipeline.project import load_project

    settings = load_project()
    if as_json:
        print_json(as_values(settings))
    else:
        show_results(Console(), settings)
    return OK


def as_values(settings: Settings) -> dict[str, object]:
    """Return the evaluation as plain values: rows, notes, failed rows, damaged files, folders.

    Raises:
        RunFailed: Nothing has been evaluated yet.
    """
    from assets.curves.curve_scores import read_curve_scores
    from assets.engine.failure_checks import damages, failures
    from assets.engine.store_access import open_store
    from pipeline.results_table import result_rows

    table, notes = _evaluated(settings)
    store = open_store(settings)
    return {
        "rows": result_rows(table),
        "notes": notes,
        "curves": read_curve_scores(store).to_dicts(),
        "failures": failures(store).to_dicts(),
        "damaged": damages(store).to_dicts(),
        "report": _report(settings),
        "results": str(settings.results_folder()),
        "store": str(settings.store_folder()),
    }


def show_results(console: Console, settings: Settings) -> None:
    """Print the evaluation, damaged files and failed rows.

    Raises:
        RunFailed: Nothing has been evaluated yet.
    """
    from rich.markdown import Markdown

    from assets.curves.curve_scores import curve_summary, read_curve_scores
    from assets.engine.failure_checks import damages, failures
    from assets.engine.store_access import open_store
    from assets.monitoring.decided_ages import shares_in_words
    from pipeline.results_table import evaluation_tables

    table, notes = _evaluated(settings)
    for grid in evaluation_tables(table):
        console.print(grid, "")
    store = open_store(settings)
    notes += [*curve_summary(read_curve_scores(store)), *shares_in_words(store, settings)]
    console.print(Markdown("\n".join(f"- {note}" for note in notes)))
    failed, damaged = failures(store), damages(store)
    if len(damaged):
        console.print(f"\n{damaged['item'].n_unique()} damaged files, used in part:")
        for item, damage in damaged.head(SHOWN).iter_rows():
            console.print(f"  {item}: {damage}", markup=False, highlight=False)
    if len(failed):
        console.print(f"\n{len(failed)} failed rows (stage, item, reason):")
        for stage, item, kind, message in failed.head(SHOWN).iter_rows():
            console.print(f"  {stage:20s} {item}: {kind}: {message}", markup=False, highlight=False)
    places = f"results: {settings.results_folder()}\nstore:   {settings.store_folder()}"
    if (page := _report(settings)) is not None:
        places = f"report:  {page}\n{places}"
    console.print(f"\n{places}", markup=False, highlight=False, soft_wrap=True)


def _report(settings: Settings) -> Path | None:
    """Return the report's page, or None if there is none yet."""
    page = settings.report_file()
    return page if page.is_file() else None


def _evaluated(settings: Settings) -> tuple[object, list[str]]:
    """Return the evaluation's table and its notes, warnings first."""
    import polars as pl

    folder = settings.results_folder()
    if not (folder / "evaluation.md").is_file() or not (folder / "evaluation.csv").is_file():
        raise RunFailed(f"no evaluation in {folder}; run `make demo` or `reelcast run`")
    table = pl.read_csv(folder / "evaluation.csv", schema_overrides={"seed": pl.Int64, "age_hours": pl.Float64})
    lines = (folder / "evaluation.md").read_text(encoding="utf-8").splitlines()
    notes = [line.removeprefix("- ") for line in lines if line.startswith("- ")]
    return table, sorted(notes, key=lambda note: not note.startswith("**"))
