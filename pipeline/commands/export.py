"""`reelcast export`: write a stage, table or log to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.declaration import OK, AsJson, command, print_json


def add(app: typer.Typer) -> None:
    """Add the command."""
    about = "Write the rows of a stage, table or log to a .parquet, .csv or .npy file."
    example = "reelcast export visual_embeddings frames.npy --column embedding"
    command(app, "export", about=about, example=example)(export)


def export(
    name: Annotated[str, typer.Argument(help="Name of a stage, table or log, such as predictions.")],
    file: Annotated[Path, typer.Argument(help="The file to write; its suffix names the format.")],
    column: Annotated[str | None, typer.Option(help="The only column to write.")] = None,
    as_json: AsJson = False,
) -> int:
    """Write the file."""
    from assets.engine.store_access import open_store
    from pipeline.export import export as write
    from pipeline.project import load_project

    written = write(open_store(load_project()), name, file, column=column)
    if as_json:
        print_json({"file": file, "description": written})
    else:
        print(written)
    return OK
