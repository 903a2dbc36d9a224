"""`reelcast`: run the pipeline on a data set, inspect its store, and compare models."""

from __future__ import annotations

import shlex
import subprocess
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from pipeline.commands import (
    bank,
    check,
    clean,
    doctor,
    environment,
    export,
    figures,
    init,
    mcp,
    models,
    plan,
    predict,
    recommenders,
    results,
    run,
    search,
    settings,
    shell,
    sql,
    studies,
)
from pipeline.commands.declaration import EXIT_CODES, INTERRUPTED, OK, PROBLEMS, WRONG_USE, group
from pipeline.errors import RunFailed, is_readable

STOPPED = "stopped; finished work is kept"

COMMANDS = (
    init,
    check,
    run,
    results,
    predict,
    plan,
    figures,
    sql,
    export,
    settings,
    bank,
    models,
    studies,
    recommenders,
    search,
)
COMMANDS += (doctor, mcp, shell, clean, environment)  # less often used, so last in the help

app = group("reelcast", "Forecast how popular micro-videos become.", EXIT_CODES)
for module in COMMANDS:
    module.add(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"reelcast {version('reelcast')}")
        raise typer.Exit(OK)


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Declare the options that stand before a command."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: Command-line arguments; those of the process by default.

    Returns:
        The exit code; see `pipeline.commands.declaration`.
    """
    try:
        code = app(args=arguments, prog_name="reelcast", standalone_mode=False) or OK
        return _refuse(STOPPED, INTERRUPTED) if code == INTERRUPTED else code  # typer turns Ctrl-C into this code
    except typer.TyperException as error:
        return _refuse(f"{error.format_message()}\n`reelcast --help` lists commands and options", error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        return _refuse(STOPPED, INTERRUPTED)
    except RunFailed as error:
        return _refuse(str(error), PROBLEMS)
    except subprocess.CalledProcessError as error:
        return _refuse(f"{shlex.join(error.cmd)} failed; its output is above", PROBLEMS)
    except Exception as error:
        if not is_readable(error):
            raise
        return _refuse(str(error), WRONG_USE)


def _refuse(message: str, code: int) -> int:
    print(f"reelcast: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
