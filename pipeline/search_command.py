"""`reelcast search`: find the best hyper-parameters of some predictors on the validation items."""

import argparse
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from pipeline.settings import load


def add(commands: Any) -> None:
    """Add `search` to the parser's commands."""
    about = 'find hyper-parameters on the validation items; model.preset = "tuned" uses them'
    parser = commands.add_parser("search", help=about)
    parser.add_argument("--models", help="predictors, separated by commas; by default those of model.train")
    parser.add_argument(
        "--trials",
        type=_positive,
        default=40,
        help="trials per predictor, those of earlier calls included (default 40)",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Search for each predictor, write its picture, and print the best values.

    Args:
        args: Parsed arguments of `reelcast search`.
        console: Where to print.

    Returns:
        The exit code: 1 if no predictor could be searched, 2 for an unknown predictor or a missing library.
    """
    from models.predictor_table import CLASSES, predictor_class
    from models.predictors.installed_extra import missing_library

    settings = load()
    names = args.models.split(",") if args.models else [name for name in settings.model.train if name in CLASSES]
    unknown = [name for name in names if name not in CLASSES]
    problem = missing_library("optuna", "sklearn")
    if unknown:
        print(f"reelcast: unknown predictor {', '.join(unknown)}; allowed: {', '.join(CLASSES)}", file=sys.stderr)
        return 2
    if problem is not None:
        print(f"reelcast: search {problem}", file=sys.stderr)
        return 2

    from assets.engine.store_access import open_store
    from assets.prediction.training_processes import inputs_of
    from assets.reports.hyperparameter_search import NothingFound, search
    from assets.reports.hyperparameter_search_picture import write_search_picture

    store, table = open_store(settings), Table(box=None, pad_edge=False)
    for column in ("predictor", "own values", "best", "options", "picture"):
        table.add_column(column)
    inputs = inputs_of(store, settings)
    for name in dict.fromkeys(names):
        try:
            result = search(
                store,
                settings,
                name,
                trials=args.trials,
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
        return 1
    console.print("\nvalidation nMSE:")
    console.print(table)
    console.print('\nmodel.preset = "tuned" trains with these values', markup=False, highlight=False)
    return 0


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, given {text!r}")
    return int(text)
