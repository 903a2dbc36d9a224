"""`reelcast shell`: shell variables that select the Dagster instance of the data set."""

from __future__ import annotations

import os

import typer

from pipeline.commands.declaration import OK, command


def add(app: typer.Typer) -> None:
    """Add the command."""
    about = "Print shell variables that select this data set's Dagster instance."
    command(app, "shell", about=about, example='eval "$(reelcast shell)"')(shell)


def shell() -> int:
    """Print the variables."""
    from pipeline.instance import shell_variables
    from pipeline.project import load_project

    print(shell_variables(load_project(), os.environ), end="")
    return OK
