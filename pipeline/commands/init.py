"""`reelcast init`: make a data set from a folder of videos and the tables beside them."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.commands.declaration import OK, PROBLEMS, command

if TYPE_CHECKING:
    from storage.datasets import Dataset


def add(app: typer.Typer) -> None:
    """Add the command."""
    about = (
        "Make a data set from a folder of videos and the tables in it, and a reelcast.toml here that names it. "
        "Links and videos.csv are added; no file is changed."
    )
    command(app, "init", about=about, example="reelcast init ~/my-videos")(init)


def init(folder: Annotated[Path, typer.Argument(help="Folder that holds the videos and tables.")]) -> int:
    """Arrange the folder, and say what it holds and what to do next; 1 if something is still missing."""
    from pipeline.new_data_set import arrange
    from pipeline.settings import DEFAULT_FILE

    done = arrange(folder)
    for line in done.added:
        print(f"added {line}")
    if done.dataset is None:
        print(done.problem)
        return PROBLEMS
    data = done.dataset
    files = len(data.videos) - data.videos["path"].null_count()
    print(
        f"{data.folder}: {len(data.videos):,} videos, {files:,} with a file; {len(data.events):,} events, "
        f"{len(data.counters):,} counts"
    )
    protocol = _protocol_of_counters(data)
    if Path(DEFAULT_FILE).exists():
        own = {
            "DATA__FOLDER": str(data.folder),
            **{f"PROTOCOL__{key.upper()}": value for key, value in protocol.items()},
        }
        exports = " ".join(f"REELCAST_{name}={shlex.quote(value)}" for name, value in own.items())
        print(f"next: export {exports}; reelcast check; reelcast run")
    else:
        named = json.dumps(str(data.folder), ensure_ascii=False)
        text = f"# Settings: docs/settings.md, or `reelcast settings`\n[data]\nfolder = {named}\n"
        if protocol:
            text += "\n[protocol]\n" + "".join(f"{key} = {value}\n" for key, value in protocol.items())
        Path(DEFAULT_FILE).write_text(text, encoding="utf-8")
        print(f"added {DEFAULT_FILE} here\nnext: reelcast check; reelcast run")
    return OK


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
