"""`reelcast plan`: what a run would compute, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.commands.declaration import OK, AsJson, command, print_json
from pipeline.errors import WrongUse


def add(app: typer.Typer) -> None:
    """Add the command."""
    about = "Print what a run would compute, and why, without running it."
    command(app, "plan", about=about, example="reelcast plan --stage visual_embeddings")(plan)


def plan(
    stage: Annotated[str | None, typer.Option(help="Print each item of this stage with its reason.")] = None,
    as_json: AsJson = False,
) -> int:
    """Print what a run would compute now; with `--stage`, one line per item."""
    from rich.console import Console

    from pipeline.project import load_project

    settings = load_project()  # before the graph is loaded, which takes seconds

    from pipeline.definitions import defs
    from pipeline.planning import as_rows, plan_run, show, show_items

    stages = plan_run(settings, defs)
    if stage is not None:
        stages = [found for found in stages if found.name == stage] or _unknown(stage, stages)
    if as_json:
        print_json(as_rows(stages))
    elif stage is None:
        show(Console(), stages)
    else:
        show_items(Console(), stages[0])
    return OK


def _unknown(stage: str, stages: list) -> list:
    names = ", ".join(found.name for found in stages)
    raise WrongUse(f"there is no stage {stage!r}; allowed are {names}")
