"""`reelcast search`: find the best hyper-parameters of some predictors on the validation items."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from pipeline.commands.declaration import OK, PROBLEMS, AsJson, command, print_json, progress_console
from pipeline.errors import WrongUse


def add(app: typer.Typer) -> None:
    """Add the command."""
    about = 'Find hyper-parameters on the validation items; model.preset = "tuned" uses them.'
    command(app, "search", about=about, example="reelcast search --models boosting --trials 40")(search)


def search(
    models: Annotated[
        str | None, typer.Option(help="Predictors, separated by commas; by default those of model.train.")
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="Trials per predictor, those of earlier calls included.")] = 40,
    as_json: AsJson = False,
) -> int:
    """Search for each predictor, write its picture, and print the best values; 1 if no predictor could be searched."""
    from rich.table import Table

    from models.predictor_table import CLASSES, predictor_class
    from models.predictors.installed_extra import missing_library
    from pipeline.project import load_project

    console, settings = progress_console(as_json), load_project()
    names = models.split(",") if models else [name for name in settings.model.train if name in CLASSES]
    if unknown := [name for name in names if name not in CLASSES]:
        raise WrongUse(f"unknown predictor {', '.join(unknown)}; allowed: {', '.join(CLASSES)}")
    if problem := missing_library("optuna", "sklearn"):
        raise WrongUse(f"search {problem}")

    from assets.engine.store_access import open_store
    from assets.prediction.training_processes import inputs_of
    from assets.reports.hyperparameter_search import NothingFound
    from assets.reports.hyperparameter_search import search as search_options
    from assets.reports.hyperparameter_search_picture import write_search_picture

    store, found = open_store(settings), []
    inputs = inputs_of(store, settings)
    for name in dict.fromkeys(names):
        try:
            result = search_options(
                store,
                settings,
                name,
                trials=trials,
                inputs=inputs,
                told=lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True),
            )
        except NothingFound as error:
            print(f"reelcast: {error}", file=sys.stderr)
            continue
        title, path = predictor_class(name).title, settings.results_folder() / f"search_{name}.png"
        write_search_picture(path, result, title=title)
        values = {"nmse_of_own_values": result.default_nmse, "nmse": result.nmse, "options": result.options}
        found.append({"predictor": name, "title": title, **values, "picture": path})
    if as_json:
        print_json(found)
    if not found or as_json:
        return OK if found else PROBLEMS
    table = Table("predictor", "own values", "best", "options", "picture", box=None, pad_edge=False)
    for row in found:
        own = "n/a" if row["nmse_of_own_values"] is None else f"{row['nmse_of_own_values']:.4f}"
        options = ", ".join(f"{option} = {_short(value)}" for option, value in row["options"].items())
        table.add_row(row["title"], own, f"{row['nmse']:.4f}", options, str(row["picture"]))
    console.print("\nvalidation nMSE:")
    console.print(table)
    console.print('\nmodel.preset = "tuned" trains with these values', markup=False, highlight=False)
    return OK


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
