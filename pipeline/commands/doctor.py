"""`reelcast doctor`: look at this machine and this installation."""

from __future__ import annotations

import typer

from pipeline.commands.declaration import OK, PROBLEMS, AsJson, command, print_json


def add(app: typer.Typer) -> None:
    """Add the command."""
    about = "Look at Python, packages, GPU, checkpoints, disk and store, and say how to mend what is wrong."
    command(app, "doctor", about=about, example="reelcast doctor --json")(doctor)


def doctor(as_json: AsJson = False) -> int:
    """Print one line per thing that was looked at, and its mend."""
    from dataclasses import asdict

    from pipeline.doctor import diagnose
    from pipeline.settings import load

    found = list(diagnose(load()))
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        for one in found:
            print(f"{one.state:8s}{one.subject}: {one.detail}" + (f"\n        {one.mend}" if one.mend else ""))
    return PROBLEMS if any(one.state == "problem" for one in found) else OK
