"""`reelcast init`: make a data set from a folder of videos and the tables beside them."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.declaration import OK, PROBLEMS, AsJson, command, print_json


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
            named = json.dumps(str(data.folder), ensure_ascii=False)
            text = f"# Settings: docs/settings.md, or `reelcast settings`\n[data]\nfolder = {named}\n"
            Path(DEFAULT_FILE).write_text(text, encoding="utf-8")
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
