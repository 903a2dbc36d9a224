"""How a command is declared: its name, its help with an example, its exit code, and its output as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.start import INTERRUPTED as INTERRUPTED

if TYPE_CHECKING:
    from rich.console import Console

OK = 0
PROBLEMS = 1  # the command ran and found problems, or a run of the graph failed
WRONG_USE = 2  # a wrong option, setting, file or name

EXIT_CODES = "Exit codes: 0 success, 1 problems found or a run failed, 2 wrong use, settings or data, 130 Ctrl-C."

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of text.")]

Command = Callable[..., int]


def group(name: str, about: str, epilog: str | None = None) -> typer.Typer:
    """Return an empty group of commands with plain help.

    Args:
        name: Name of the group.
        about: One sentence for the help.
        epilog: Last lines of the help.
    """
    return typer.Typer(
        name=name,
        help=about,
        short_help=about,
        epilog=epilog,
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )


def command(app: typer.Typer, name: str, *, about: str, example: str) -> Callable[[Command], Command]:
    """Return a decorator that adds a function as a command. The function returns the exit code.

    Args:
        app: Where to add it.
        name: Name of the command.
        about: What it does, in one or two sentences.
        example: A command line that works.
    """
    return app.command(name, help=about, short_help=about, epilog=f"Example: {example}")


def progress_console(as_json: bool) -> Console:
    """Return the console of a command's progress: standard error if a JSON value follows on standard output."""
    from rich.console import Console

    return Console(stderr=as_json)


def print_json(value: Any) -> None:
    """Print a value as JSON. A date, a path or another value that JSON lacks is printed as text."""
    print(json.dumps(value, indent=2, default=str, ensure_ascii=False))
