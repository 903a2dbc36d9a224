"""What each stage costs from a thousand to a million videos: a first run, a run with nothing new, 1 % more videos.

    python -m tests.benchmarks.scaling [--sizes 1000 10000 100000] [--folder FOLDER] [--docs]

The videos are planted: a few counts per video, and imported features, so that no encoder's cost hides the pipeline's own. The
settings keep what is the same at every size short: one model, one pass of training. Every night is a process of its own, and
its report is kept in FOLDER/SIZE; a night whose report is there is not run again, so a stopped benchmark continues, and
sizes can be added. All reports in FOLDER are shown.

CPU seconds of a stage hold its checks. Peak memory is that of the whole process while the stage ran, its libraries included.
Bytes per video are those on the disk after the first run. `slope` is the exponent of a power law fitted to the sizes from
`SLOPES_FROM` videos on: 1 is linear. `--docs` writes the tables into docs/scaling.md, and docs/scaling.png.

Aims: nothing new takes under 60 s beyond start-up and under 4 GB at 1,000,000 videos; an increment of 1 % takes under 15 % of
a first run from 20,000 videos on; no slope is above 1.2.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from tests.benchmarks.night import run_night

SIZES = (1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
SLOPES_FROM = 3000
NIGHTS = ("first", "nothing new", "increment")
IMPORTED = {"visual_embeddings": 16, "acoustic_embeddings": 16, "text_embeddings": 16, "retrieval_vectors": 32}
BLOCK = 1000  # videos drawn together, so that a video's data do not depend on their number
HOUR = 3_600_000
START = 1_780_000_000_000
READ_AT = (6, 20, 72, 168)  # hours after publication at which the views are read off
DAYS = 40  # of publication
OPTIONS = {
    "PROTOCOL__TARGETS": '["view@7d"]',
    "MODEL__TRAIN": '["m3tr"]',
    "MODEL__SEEDS": "[0]",
    "MODEL__MAX_EPOCHS": "1",
    "MODEL__DIM": "16",
    "CURVES__CONTINUATIONS": "0",
}
DOCS = Path(__file__).parents[2] / "docs"
MARKS = ("<!-- tables -->", "<!-- end of tables -->")


def write_set(folder: Path, videos: int) -> None:
    """Write the first `videos` planted videos: a table of videos, four counts of views per video, and their features."""
    folder.mkdir(parents=True, exist_ok=True)
    listed, counts = [], []
    arrays = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float32, (videos, width))
        for name, width in IMPORTED.items()
    }
    for start in range(0, videos, BLOCK):
        random = np.random.default_rng([7, start])
        end = min(start + BLOCK, videos)
        here, items = end - start, [str(row + 1) for row in range(start, end)]
        published = START + random.integers(0, DAYS * 24, BLOCK)[:here] * HOUR
        appeal = random.normal(0.0, 1.0, BLOCK)[:here]
        pace = random.uniform(0.5, 1.5, BLOCK)[:here]
        for hours in READ_AT:
            views = np.floor(np.exp(5 + appeal) * (1 - np.exp(-pace * hours / 48))).astype(np.int64)
            counts.append(pl.DataFrame({"item": items, "time": published + hours * HOUR, "views": views}))
        titles = [f"title {item}" for item in items]
        listed.append(pl.DataFrame({"item": items, "title": titles, "published_at": published}))
        for array in arrays.values():
            noise = random.standard_normal((BLOCK, array.shape[1]), dtype=np.float32)[:here]
            array[start:end] = noise + appeal[:, None].astype(np.float32)
    pl.concat(listed).write_csv(folder / "videos.csv")
    pl.concat(counts).write_csv(folder / "counters.csv")
    ids = "\n".join(pl.concat(listed)["item"])
    for name, array in arrays.items():
        array.flush()
        (folder / f"{name}.ids.txt").write_text(ids)


def options_of(data: Path) -> dict[str, str]:
    """Return the settings of every night, with the imported files in the folder of the data set."""
    return {**OPTIONS, **{f"IMPORTS__{name.upper()}": str(data / f"{name}.npy") for name in IMPORTED}}


def run_size(folder: Path, videos: int) -> None:
    """Run the nights of one size whose report is not in its folder yet."""
    home = folder / str(videos)
    options = options_of(home / "data")
    for night in NIGHTS:
        report = home / f"{night}.json"
        if report.exists():
            continue
        if night == "first":
            shutil.rmtree(home / "store", ignore_errors=True)
        write_set(home / "data", videos + (videos // 100 if night == "increment" else 0))
        unfinished = home / "unfinished.json"
        found = run_night(home, unfinished, options)
        if night == "first":
            found["bytes"] = dict(stored_bytes(home / "store"))
            unfinished.write_text(json.dumps(found), encoding="utf-8")
        unfinished.replace(report)
        beyond = sum(costs["cpu"] for name, costs in found["stages"].items() if name != "start-up")
        print(
            f"{videos:,} videos, {night}: {beyond:,.1f} CPU s beyond start-up, {found['peak_gib']:.2f} GiB", flush=True
        )


def stored_bytes(store: Path) -> Iterator[tuple[str, int]]:
    """Yield the name and the size in bytes of everything that a stage stored."""
    for kind in ("stages", "tables", "artifacts"):
        for folder in (store / kind).iterdir():
            files = {
                (stat.st_ino, stat.st_size) for path in folder.rglob("*") if (stat := path.stat()) and path.is_file()
            }
            yield folder.name, sum(size for _, size in files)


def read_reports(folder: Path) -> dict[int, dict[str, dict]]:
    """Return size -> night -> report, of the sizes of which at least the first run is there."""
    sizes = sorted(int(path.parent.name) for path in folder.glob("*/first.json"))
    return {
        size: {
            night: json.loads((folder / str(size) / f"{night}.json").read_text(encoding="utf-8"))
            for night in NIGHTS
            if (folder / str(size) / f"{night}.json").exists()
        }
        for size in sizes
    }


def beyond_startup(report: Mapping, measure: str = "cpu") -> float:
    """Return a night's CPU seconds, or seconds, without its start-up."""
    return sum(costs[measure] for name, costs in report["stages"].items() if name != "start-up")


def slope(sizes: Sequence[int], values: Sequence[float]) -> float:
    """Return the exponent of the power law that fits best; NaN with fewer than two sizes from `SLOPES_FROM` on."""
    points = [(size, value) for size, value in zip(sizes, values, strict=True) if size >= SLOPES_FROM and value > 0]
    if len(points) < 2:
        return float("nan")
    return float(np.polyfit(*np.log(np.array(points)).T, 1)[0])


def tables(reports: Mapping[int, Mapping[str, dict]]) -> str:
    """Return the tables in Markdown: whole nights, and the stages of each night."""
    lines = ["| videos | " + " | ".join(f"{night}, CPU s | s | GB" for night in NIGHTS) + " | increment / first |"]
    lines.append("|---:|" + "---:|" * (3 * len(NIGHTS) + 1))
    for size, nights in reports.items():
        cells = []
        for night in NIGHTS:
            found = nights.get(night)
            cells += (
                ["", "", ""]
                if found is None
                else [
                    f"{beyond_startup(found):,.1f}",
                    f"{beyond_startup(found, 'seconds'):,.0f}",
                    f"{found['peak_gib'] * 2**30 / 1e9:.2f}",
                ]
            )
        share = (
            f"{beyond_startup(nights['increment']) / beyond_startup(nights['first']):.0%}"
            if "increment" in nights
            else ""
        )
        lines.append(f"| {size:,} | " + " | ".join([*cells, share]) + " |")
    text = "\n".join(lines)
    for night in NIGHTS:
        own = {size: nights[night]["stages"] for size, nights in reports.items() if night in nights}
        if own:
            text += "\n\n" + stage_table(
                night, own, {size: nights["first"]["bytes"] for size, nights in reports.items()}
            )
    return text


def stage_table(night: str, own: Mapping[int, Mapping[str, dict]], stored: Mapping[int, Mapping[str, int]]) -> str:
    """Return the table of one night: CPU seconds per size, their slope, and the largest size's peak memory and bytes."""
    sizes, largest = list(own), max(own)
    names = sorted(own[largest], key=lambda name: -own[largest][name]["cpu"])
    head = [f"{night}, CPU s", *(f"{size:,}" for size in sizes), "slope", "peak GB"]
    lines = ["| " + " | ".join([*head, *(["bytes per video"] if night == "first" else [])]) + " |"]
    lines.append("|---|" + "---:|" * (len(head) - 1 + (night == "first")))
    for name in names:
        seconds = [own[size].get(name, {}).get("cpu", 0.0) for size in sizes]
        if max(seconds) < 0.5:
            continue
        cells = [name, *(f"{value:,.1f}" for value in seconds), f"{slope(sizes, seconds):.2f}"]
        cells.append(f"{own[largest][name]['peak_mb'] * 2**20 / 1e9:.2f}")
        if night == "first":
            held = stored[largest].get(name)
            cells.append("" if held is None else f"{held / largest:,.0f}")
        lines.append("| " + " | ".join(cells).replace("nan", "") + " |")
    return "\n".join(lines)


def draw(reports: Mapping[int, Mapping[str, dict]], path: Path) -> None:
    """Draw CPU seconds and peak memory of the three nights over the number of videos."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    cpu, memory = figure.subplots(1, 2)
    for night in NIGHTS:
        sizes = [size for size, nights in reports.items() if night in nights]
        found = [reports[size][night] for size in sizes]
        cpu.loglog(sizes, [beyond_startup(report) for report in found], "o-", markersize=3, label=night)
        memory.loglog(sizes, [report["peak_gib"] * 2**30 / 1e9 for report in found], "o-", markersize=3, label=night)
    for axis, label in ((cpu, "CPU seconds beyond start-up"), (memory, "peak memory, GB")):
        axis.set(xlabel="videos", ylabel=label)
        axis.grid(alpha=0.3, which="both")
    cpu.legend(frameon=False)
    figure.savefig(path, dpi=80)


def write_docs(reports: Mapping[int, Mapping[str, dict]]) -> None:
    """Replace the tables in docs/scaling.md, and the picture beside it."""
    page = DOCS / "scaling.md"
    before, rest = page.read_text(encoding="utf-8").split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    page.write_text(f"{before}{MARKS[0]}\n\n{tables(reports)}\n\n{MARKS[1]}{after}", encoding="utf-8")
    draw(reports, DOCS / "scaling.png")


def missed(reports: Mapping[int, Mapping[str, dict]]) -> Iterator[str]:
    """Yield a sentence per aim that is missed."""
    for size, nights in reports.items():
        idle, more = nights.get("nothing new"), nights.get("increment")
        if idle and (beyond_startup(idle) > 60 or idle["peak_gib"] * 2**30 > 4e9):
            yield f"{size:,}: nothing new takes {beyond_startup(idle):.0f} CPU s and {idle['peak_gib']:.1f} GiB"
        if more and size >= 20_000 and (share := beyond_startup(more) / beyond_startup(nights["first"])) > 0.15:
            yield f"{size:,}: the increment takes {share:.0%} of the first run"


def main() -> int:
    """Run the nights that are missing, and show all; return 1 if an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="numbers of videos; none: show only")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "reelcast-scaling")
    parser.add_argument("--docs", action="store_true", help="write the tables and the picture into docs/")
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for videos in args.sizes:
        run_size(args.folder, videos)
    reports = read_reports(args.folder)
    print(tables(reports))
    if args.docs:
        write_docs(reports)
    problems = list(missed(reports))
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
