"""`reelcast environment`: create the environment of a library that needs its own."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.commands.declaration import OK, command
from pipeline.errors import WrongUse


def add(app: typer.Typer) -> None:
    """Add the command."""
    about = "Create the environment of a library that needs its own: lavis or laion-clap."
    command(app, "environment", about=about, example="reelcast environment lavis")(environment)


def environment(library: Annotated[str, typer.Argument(help="Name of the library.")]) -> int:
    """Create the environment."""
    from models.encoders.isolated import environments
    from pipeline.settings import load

    if library not in environments.LIBRARIES:
        raise WrongUse(f"{library!r} is unknown; allowed: {', '.join(environments.LIBRARIES)}")
    environments.make(library, root=load().encoders.environments)
    return OK
