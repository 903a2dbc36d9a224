"""`reelcast search`: find the best hyper-parameters of some predictors on the validation items."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from pipeline.commands.declaration import OK, PROBLEMS, command
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
) -> int:
    """Search for each predictor, write its picture, and print the best values; 1 if no predictor could be searched."""
    from rich.console import Console
    from rich.table import Table

    from models.predictor_table import CLASSES, predictor_class
    from models.predictors.installed_extra import missing_library
    from pipeline.project import load_project

    console, settings = Console(), load_project()
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

    store, table = open_store(settings), Table(box=None, pad_edge=False)
    for column in ("predictor", "own values", "best", "options", "picture"):
        table.add_column(column)
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
        default = "n/a" if result.default_nmse is None else f"{result.default_nmse:.4f}"
        options = ", ".join(f"{option} = {_short(value)}" for option, value in result.options.items())
        table.add_row(title, default, f"{result.nmse:.4f}", options, str(path))
    if not table.row_count:
        return PROBLEMS
    console.print("\nvalidation nMSE:")
    console.print(table)
    console.print('\nmodel.preset = "tuned" trains with these values', markup=False, highlight=False)
    return OK


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
