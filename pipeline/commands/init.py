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
        protocol = _protocol_of_counters(data)
        if Path(DEFAULT_FILE).exists():
            steps.insert(0, f"export {_variables(data.folder, protocol)}")
        else:
            Path(DEFAULT_FILE).write_text(_settings_file(data.folder, protocol), encoding="utf-8")
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


def _protocol_of_counters(data: Dataset) -> dict[str, str]:
    """Return settings of `[protocol]` for a data set of counts alone, which has no default target.

    One count per video is forecast with nothing seen before. Of several, the count after seven days is forecast.
    """
    if len(data.events) or not len(data.counters):
        return {}
    metrics = data.counters["metric"].unique().sort().to_list()
    metric = "view" if "view" in metrics else metrics[0]
    if data.counters.select("item", "metric").is_duplicated().any():
        return {"targets": f'["{metric}@7d"]'}
    return {"targets": f'["{metric}@end"]', "hours": "0"}


def _settings_file(folder: Path, protocol: dict[str, str]) -> str:
    """Return the text of a settings file that names the data set."""
    named = json.dumps(str(folder), ensure_ascii=False)
    lines = ["# Settings: docs/settings.md, or `reelcast settings`", "[data]", f"folder = {named}"]
    if protocol:
        lines += ["", "[protocol]", *(f"{key} = {value}" for key, value in protocol.items())]
    return "\n".join([*lines, ""])


def _variables(folder: Path, protocol: dict[str, str]) -> str:
    """Return the same settings as variables for a shell, where a settings file exists already."""
    variables = {"DATA__FOLDER": str(folder)} | {f"PROTOCOL__{key.upper()}": value for key, value in protocol.items()}
    return " ".join(f"REELCAST_{name}={shlex.quote(value)}" for name, value in variables.items())
