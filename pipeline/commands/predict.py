"""`reelcast predict`: the forecast of one video, or of every video of a folder, with what is in service."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.declaration import OK, PROBLEMS, AsJson, command
from pipeline.errors import WrongUse

if TYPE_CHECKING:
    from pipeline.predicting.request import Request


def add(app: typer.Typer) -> None:
    """Add the command."""
    about = "Forecast one video, or every video of a folder, with the bank and the models in service."
    command(app, "predict", about=about, example="reelcast predict clip.mp4 --title 'My cat' --feedback events.csv")(
        predict
    )


def predict(
    video: Annotated[Path | None, typer.Argument(help="Media file, or folder of media files.")] = None,
    title: Annotated[str | None, typer.Option(help="Title.")] = None,
    author: Annotated[str | None, typer.Option(help="Id of the author, as in the data set.")] = None,
    category: Annotated[str | None, typer.Option(help="Category, as in the data set.")] = None,
    published: Annotated[
        str | None, typer.Option(help="When it was published. Default: the first event, or now.")
    ] = None,
    feedback: Annotated[
        Path | None, typer.Option(help="Its feedback: time[,type][,user] per event, or time and counts.")
    ] = None,
    at: Annotated[str | None, typer.Option(help="Moment of the forecast. Default: the last event.")] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Append the forecasts to the log video_forecast_log of the store.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Print the forecasts; with `--json` one JSON object per line."""
    from pipeline.predicting.folder import folder_requests
    from pipeline.predicting.request import Request, WrongVideo

    own = {"title": title, "author": author, "category": category, "published": published, "feedback": feedback}
    is_folder = video is not None and os.path.isdir(video)  # noqa: PTH112 - pathlib raises at a long name
    if is_folder and (given := [name for name, value in own.items() if value is not None]):
        raise WrongUse(
            f"--{given[0]} is for one video; a folder's videos.csv and NAME.csv say what is known (docs/predict.md)"
        )
    try:
        requests = folder_requests(video, at=at) if is_folder else [Request(video=video, at=at, **own)]
        if not is_folder:
            requests[0].check()
    except WrongVideo as error:
        raise WrongUse(str(error)) from error
    return _forecast(requests, one=not is_folder, keep=keep, as_json=as_json)


def _forecast(requests: list[Request], *, one: bool, keep: bool, as_json: bool) -> int:
    from rich.console import Console

    from assets.engine.decoding_workers import worker_count
    from pipeline.predicting.forecaster import Forecaster
    from pipeline.predicting.keep_forecast import keep_forecast
    from pipeline.predicting.request import WrongVideo
    from pipeline.predicting.show_forecast import show_forecast, show_line
    from pipeline.project import load_project

    console, failed, settings = Console(), 0, load_project()
    with Forecaster(settings, workers=1 if one else worker_count(settings.run.workers)) as forecaster:
        for request, result in forecaster.predict_all(requests):
            if isinstance(result, WrongVideo):
                if one:
                    raise WrongUse(str(result))
                failed += 1
                if as_json:
                    print(json.dumps({"item": request.name, "error": str(result)}, ensure_ascii=False))
                else:
                    print(f"reelcast: {result}", file=sys.stderr)
                continue
            if keep:
                keep_forecast(settings, result)
            if as_json:
                print(json.dumps(result.to_dict(), ensure_ascii=False), flush=True)
            elif one:
                show_forecast(console, result)
            else:
                show_line(console, result)
    return PROBLEMS if failed else OK
