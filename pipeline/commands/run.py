"""`reelcast run`: compute what is new in the whole graph or in a part of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from pipeline.commands.declaration import OK, AsJson, command, print_json


def add(app: typer.Typer) -> None:
    """Add the command."""
    about = "Run the graph or a part of it; only what is new or changed is computed."
    command(app, "run", about=about, example="reelcast run --select popularity_model+")(run)


def run(
    select: Annotated[
        str, typer.Option(help="Stages in Dagster's syntax: *popularity is all before a stage, name+ all after it.")
    ] = "*",
    traceback: Annotated[bool, typer.Option("--traceback", help="Print where a failure happened in the code.")] = False,
    as_json: AsJson = False,
) -> int:
    """Run a part of the graph; with `--json`, print the seconds of its stages and the checks that failed."""
    from pipeline.project import load_project
    from pipeline.run_graph import run_graph

    summary = run_graph(load_project(), select, traceback=traceback, on_error_stream=as_json)
    if as_json:
        print_json(asdict(summary))
    return OK
