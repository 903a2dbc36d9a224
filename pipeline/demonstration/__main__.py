"""`python -m pipeline.demonstration FOLDER`: make the demonstration set, with progress in the terminal."""

import argparse
import sys

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pipeline.demonstration.dataset import make


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m pipeline.demonstration", description=__doc__)
    parser.add_argument("folder", help="where the set lies, or will")
    parser.add_argument("--videos", type=int, default=600, help="videos with seven observed days (default 600)")
    parser.add_argument("--uploads", type=int, default=40, help="new uploads without a label yet (default 40)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, help="processes that make the files (default 2)")
    given = parser.parse_args(arguments)
    columns = (
        TextColumn("demonstration set"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    try:
        with Progress(*columns) as bar:
            task = bar.add_task("files", visible=False)
            folder = make(
                given.folder,
                videos=given.videos,
                uploads=given.uploads,
                seed=given.seed,
                workers=given.workers,
                progress=lambda done, total: bar.update(task, completed=done, total=total, visible=True),
            )
    except (ValueError, OSError) as error:
        print(f"error: {given.folder}: {error}", file=sys.stderr)
        return 1
    print(f"demonstration set: {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
