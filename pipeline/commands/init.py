"""`reelcast init`: make a data set from a folder of videos and the tables beside them."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.declaration import OK, PROBLEMS, AsJson, command, print_json

if TYPE_CHECKING:
    from storage.datasets import Dataset


def add(app: typer.Typer) -> None:
    """Add the command."""
    about = (
        "Make a data set from a folder of videos and the tables in it, and a reelcast.toml here that names it. "
        "Links and videos.csv are added; no file is changed."
    )
    command(app, "init", about=about, example="reelcast init ~/my-videos")(init)


def init(
    folder: Annotated[Path, typer.Argument(help="Folder that holds the videos and tables.")], as_json: AsJson = False
) -> int:
    """Arrange the folder, and say what it holds and what to do next; 1 if something is still missing."""
    from pipeline.new_data_set import arrange
    from pipeline.settings import DEFAULT_FILE

    done = arrange(folder)
    added, data = list(done.added), done.dataset
    found: dict[str, int] = {}
    steps = ["reelcast check", "reelcast run"]
    if data is not None:
        files = len(data.videos) - data.videos["path"].null_count()
        found = {"videos": len(data.videos), "files": files, "events": len(data.events), "counts": len(data.counters)}
        if Path(DEFAULT_FILE).exists():
            steps.insert(0, f"export REELCAST_DATA__FOLDER={shlex.quote(str(data.folder))}")
        else:
            Path(DEFAULT_FILE).write_text(_settings_of(data), encoding="utf-8")
            added.append(f"{DEFAULT_FILE} here")
    if as_json:
        print_json({"folder": folder, "added": added, **found, "problem": done.problem or None})
    else:
        for line in added:
            print(f"added {line}")
        if data is None:
            print(done.problem)
        else:
            print(
                "{folder}: {videos:,} videos, {files:,} with a file; {events:,} events, {counts:,} counts".format(
                    folder=data.folder, **found
                )
            )
            print(f"next: {'; '.join(steps)}")
    return OK if data is not None else PROBLEMS


def _settings_of(data: Dataset) -> str:
    """Return a settings file for a data set. One that has counts alone gets a target, for which there is no default."""
    folder = json.dumps(str(data.folder), ensure_ascii=False)
    text = f"# Settings: docs/settings.md, or `reelcast settings`\n[data]\nfolder = {folder}\n"
    if len(data.events) or not len(data.counters):
        return text
    metrics = data.counters["metric"].unique().sort().to_list()
    metric = "view" if "view" in metrics else metrics[0]
    if data.counters.select("item", "metric").is_duplicated().any():
        return f'{text}\n[protocol]\ntargets = ["{metric}@7d"]  # the count seven days after publication\n'
    end = f'targets = ["{metric}@end"]  # the one count per video'
    return f"{text}\n[protocol]\n{end}\nhours = 0  # nothing is seen before the forecast\n"
