"""`reelcast report`: write the report of the store as one HTML file."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.commands.declaration import OK, AsJson, command, print_json


def add(app: typer.Typer) -> None:
    """Add the command."""
    about = "Write everything about the last run as one HTML file, which needs no network."
    command(app, "report", about=about, example="reelcast report --show")(report)


def report(
    show: Annotated[bool, typer.Option("--show", help="Open the file in the browser.")] = False,
    as_json: AsJson = False,
) -> int:
    """Build the report from the store, write it into the results' folder, and print its path."""
    from pipeline.errors import RunFailed
    from pipeline.project import load_project

    settings = load_project()

    from assets.engine.store_access import open_store
    from assets.reports.report import report_page, write_page

    store = open_store(settings)
    if store.table("popularity").state() is None:
        raise RunFailed(f"nothing is computed in {settings.store_folder()} yet; run `make demo` or `reelcast run`")
    path = write_page(report_page(store, settings), settings)
    if as_json:
        print_json({"file": path})
    else:
        print(path)
    if show:
        typer.launch(path.as_uri())
    return OK
