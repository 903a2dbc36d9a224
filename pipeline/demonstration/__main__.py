"""Make the demonstration set in a folder, with a progress bar: `python -m pipeline.demonstration FOLDER`."""

import argparse
import sys

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pipeline.demonstration.dataset import make


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code; `arguments` defaults to those of the process."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.demonstration", description=__doc__)
    parser.add_argument("folder", help="folder of the set; made if it does not exist")
    parser.add_argument("--videos", type=int, default=1200, help="number of videos with a label (default 1200)")
    parser.add_argument("--uploads", type=int, default=40, help="number of new uploads without a label (default 40)")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random (default 0)")
    parser.add_argument("--workers", type=int, default=2, help="number of processes that encode files (default 2)")
    args = parser.parse_args(arguments)
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
                args.folder,
                videos=args.videos,
                uploads=args.uploads,
                seed=args.seed,
                workers=args.workers,
                progress=lambda done, total: bar.update(task, completed=done, total=total, visible=True),
            )
    except (ValueError, OSError) as error:
        print(f"error: {args.folder}: {error}", file=sys.stderr)
        return 1
    print(f"demonstration set: {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
