"""`reelcast mcp`: serve the store to an assistant, read-only."""

from __future__ import annotations

import typer

from pipeline.commands.declaration import OK, command
from pipeline.errors import WrongUse


def add(app: typer.Typer) -> None:
    """Add the command."""
    about = "Serve the store to an assistant over the Model Context Protocol (stdio); it can read, and change nothing."
    command(app, "mcp", about=about, example="claude mcp add reelcast -- reelcast mcp")(serve)


def serve() -> int:
    """Serve until the input ends."""
    from pipeline.project import load_project

    settings = load_project()
    try:
        from pipeline.mcp_server import make_server
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] in ("mcp", "mcp_types"):
            raise WrongUse("the MCP SDK is not installed: pip install 'reelcast[mcp]'") from None
        raise
    make_server(settings).run()
    return OK
