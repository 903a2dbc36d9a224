"""`reelcast check`: find what would stop a run, and damage in the store."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.commands.declaration import AsJson, command


def add(app: typer.Typer) -> None:
    """Add the command."""
    about = "Find what would stop a run, and damage in the store, and say how to mend it. It changes nothing."
    command(app, "check", about=about, example="reelcast check --deep")(check)


def check(
    run: Annotated[
        bool, typer.Option("--run", help="Leave out the store's damage, most of which a run mends.")
    ] = False,
    deep: Annotated[bool, typer.Option("--deep", help="Read every byte instead of footers, sizes and states.")] = False,
    as_json: AsJson = False,
) -> int:
    """Print what is wrong."""
    from rich.console import Console

    from pipeline.check import check as check_all
    from pipeline.project import load_project

    return check_all(load_project(), Console(), run_only=run, deep=deep, as_json=as_json)
