"""`reelcast recommenders`: fit recommenders to the users' histories, and compare them on held-out exposures."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.commands.declaration import AsJson, command, progress_console
from pipeline.commands.studies import show_report
from pipeline.errors import WrongUse


def add(app: typer.Typer) -> None:
    """Add the command."""
    command(
        app,
        "recommenders",
        about="Fit recommenders to the users' histories, and compare them on held-out exposures.",
        example="reelcast recommenders --models mtin,lstm,bpr --seeds 3",
    )(recommenders)


def recommenders(
    models: Annotated[str, typer.Option(help="Names of recommenders with commas, or all.")] = "all",
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds per recommender.")] = 3,
    as_json: AsJson = False,
) -> int:
    """Pack the histories, fit every recommender with every seed, and write the report."""
    import dagster as dg

    from assets.audience.user_histories import user_histories
    from assets.embeddings.text_embeddings import text_embeddings
    from assets.embeddings.visual_embeddings import visual_embeddings
    from assets.reports.recommendation_leaderboard import NAME, report_recommenders
    from models.recommender_table import RECOMMENDERS
    from pipeline.project import load_project
    from pipeline.settings import changed
    from pipeline.studies import materialise

    names, console = list(RECOMMENDERS) if models == "all" else models.split(","), progress_console(as_json)
    if unknown := [name for name in names if name not in RECOMMENDERS]:
        raise WrongUse(f"--models: {unknown[0]!r} is unknown; allowed: {', '.join(RECOMMENDERS)}")
    settings = changed(load_project(), {"audience": {"train": names}})
    materialise(settings, dg.AssetSelection.assets(user_histories, visual_embeddings, text_embeddings).upstream())
    report_recommenders(
        settings, names=names, seeds=list(range(seeds)), told=lambda text: console.print(text, markup=False)
    )
    return show_report(settings, NAME, console, as_json=as_json)
