"""`reelcast figures`: draw the figures that explain a run, as M3TR's paper has them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.declaration import OK, PROBLEMS, AsJson, command, print_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRUTH = "truth/videos.csv"  # of the demonstration set


def add(app: typer.Typer) -> None:
    """Add the command."""
    about = "Draw what explains a run: retrieved videos, an intensity taken apart, the courses of archetypes."
    command(app, "figures", about=about, example="reelcast figures --item 617")(figures)


def figures(
    item: Annotated[str | None, typer.Option(help="A test item to show; by default one is chosen by a rule.")] = None,
    as_json: AsJson = False,
) -> int:
    """Write the figures into the results' folder, and print their paths; 1 if one could not be drawn."""
    from pipeline.project import load_project

    settings = load_project()

    from assets.curves.course_figure import course_figure
    from assets.curves.intensity_figure import intensity_figure
    from assets.engine.nothing_to_show import NothingToShow
    from assets.engine.store_access import open_store
    from assets.memory.retrieval_figure import retrieval_figure
    from models.png import save_png
    from storage.durable import written_beside

    store, code, files = open_store(settings), OK, {}
    drawn: dict[str, Callable[[], Figure]] = {
        "retrieval": lambda: retrieval_figure(store, settings, item=item),
        "intensity": lambda: intensity_figure(store, settings, item=item),
        "courses": lambda: course_figure(store, settings, settings.data_folder() / TRUTH),
    }
    for name, draw in drawn.items():
        path = settings.results_folder() / f"figure_{name}.png"
        try:
            figure = draw()
        except NothingToShow as reason:
            print(f"reelcast: no figure {name}: {reason}", file=sys.stderr)
            code = PROBLEMS
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_beside(path) as scratch:
            save_png(figure, scratch)
        files[name] = path
        if not as_json:
            print(path)
    if as_json:
        print_json(files)
    return code
