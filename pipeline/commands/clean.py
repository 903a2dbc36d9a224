"""`reelcast clean`: delete the store and the results of the data set."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.commands.declaration import OK, PROBLEMS, command


def add(app: typer.Typer) -> None:
    """Add the command."""
    about = "Delete this data set's store and results, not its data, after a question."
    command(app, "clean", about=about, example="reelcast clean --yes")(clean)


def clean(yes: Annotated[bool, typer.Option("--yes", help="Delete without a question.")] = False) -> int:
    """Delete the store and the results."""
    from pipeline.cleaning import delete_computed
    from pipeline.project import load_project

    return OK if delete_computed(load_project(), ask=None if yes else input) else PROBLEMS
