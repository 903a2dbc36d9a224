"""`reelcast models`: the models before the last training beside those in service."""

from __future__ import annotations

import typer

from pipeline.commands.declaration import OK, AsJson, command, group


def add(app: typer.Typer) -> None:
    """Add `models` and its action."""
    actions = group("models", "Trained models: compare them with those before the last training.")
    about = "Forecast the same items with the models before the last training and with those in service."
    command(actions, "compare", about=about, example="reelcast models compare")(compare)
    app.add_typer(actions)


def compare(as_json: AsJson = False) -> int:
    """Print how the forecasts differ, in a store of their own; what is in service stays."""
    from pipeline.project import load_project
    from pipeline.version_trials import compare_with_earlier_models
    from pipeline.version_trials_text import show_trial

    show_trial(
        *compare_with_earlier_models(load_project()), names=("the models before", "the present ones"), as_json=as_json
    )
    return OK
