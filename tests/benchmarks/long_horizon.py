"""T-mAP and OTD of processes on the StackOverflow badges, beside HoTPP's baselines (arXiv 2406.14341).

    python -m tests.benchmarks.long_horizon --data FOLDER [--saved FOLDER] [--processes NAME ...] [--continuations 200]
        [--split test] [--seconds 600] [--threads 2] [--every 1] [--json FILE]

FOLDER is that of `tests.benchmarks.stackoverflow`, whose processes are fitted here, each for at most `--seconds`, or loaded
from the folder `--saved` if they were fitted before. HoTPP's protocol: the first 101 events of a sequence; a forecast after
every fourth event that is followed by 32 more; these are the targets as far as they lie within the horizon of 10 units. A
guess is right within 2 units; OTD compares the next 10 events, and inserting or deleting one costs 1 unit.

HoTPP reads another extract of the badges (easytpp/stackoverflow), in a unit that is not documented. With the unit of 11.2 days
used here, the targets have as many events in the mean as there (15.5 and 15.6).

    T-mAP      of guesses from all continuations, each of 32 events. As in HoTPP a guess also counts for every other type,
               with a score below all others
    own type   T-mAP of the same guesses where each counts for its own type only
    one path   T-mAP of the first continuation alone, each of its events a guess; what sampling one sequence gives
    weighted   T-mAP, weighted by the numbers of targets of the types
    OTD        of the likely sequence; in brackets that of the first continuation
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from models.events import EventBatch
from models.hawkes import PointProcess, load, save
from models.long_horizon import ScoredEvents, for_every_type, optimal_transport_distance, temporal_map
from models.long_horizon_forecasts import history_density, likely_events, likely_sequence, most_popular
from models.thinning import simulate
from tests.benchmarks.stackoverflow import PROCESSES, TYPES, read

UNIT = 11.2  # days
HORIZON, TOLERANCE = 10 * UNIT, 2 * UNIT
FIRST, STEP, TARGETS, COMPARED = 101, 4, 32, 10
POSITIONS_AT_ONCE = 40

Events = tuple[np.ndarray, np.ndarray]


def positions(events: EventBatch, every: int) -> tuple[list[Events], list[Events]]:
    """Return the histories and the next events of every `every`-th forecast; targets are in days since the forecast."""
    histories, following = [], []
    for times, types, length in zip(events.times.numpy(), events.types.numpy(), events.lengths.tolist()):
        length = min(length, FIRST)
        for last in range(STEP, length - TARGETS, STEP):
            ahead = slice(last + 1, last + 1 + TARGETS)
            histories.append((times[: last + 1], types[: last + 1]))
            following.append((times[ahead] - times[last], types[ahead]))
    return histories[::every], following[::every]


def continuations(process: PointProcess, histories: list[Events], count: int) -> Iterator[list[list[Events]]]:
    """Yield the continuations of POSITIONS_AT_ONCE histories: up to TARGETS events each, in days since the forecast."""
    for begin in range(0, len(histories), POSITIONS_AT_ONCE):
        part = histories[begin : begin + POSITIONS_AT_ONCE]
        batch = EventBatch.from_sequences(*zip(*part), t_end=[times[-1] for times, _ in part]).from_first_event()
        rows = torch.arange(len(part)).repeat_interleave(count)
        seeds = [(begin + row) * 2**32 + number for row in range(len(part)) for number in range(count)]
        # no `until`: OTD needs the next events, however late they come
        result = simulate(process, batch[rows], length=batch.lengths[rows] + TARGETS, seeds=seeds)
        times, types = result.times.numpy(), result.types.numpy()
        yield [
            [(times[row, n : n + TARGETS] - float(batch.t_end[at]), types[row, n : n + TARGETS])
             for row in range(at * count, (at + 1) * count)]
            for at, n in enumerate(batch.lengths.tolist())
        ]  # fmt: skip


def scores(guesses: list[ScoredEvents], targets: list[Events]) -> dict[str, float]:
    """Return the table's figures that are T-mAPs, in percent."""
    wide = [for_every_type(each, TYPES) for each in guesses]
    every, own = (
        temporal_map(targets, part, num_types=TYPES, horizon=HORIZON, tolerance=TOLERANCE) for part in (wide, guesses)
    )
    return {
        "T-mAP": 100 * every.value,
        "own type": 100 * own.value,
        "weighted": 100 * every.weighted,
        "guesses": float(np.mean([len(each.times) for each in guesses])),
    }


def distance(sequences: list[Events], targets: list[Events]) -> float:
    """Return OTD over the next COMPARED events, in units."""
    short, real = (
        [(times[:COMPARED] / UNIT, types[:COMPARED]) for times, types in part] for part in (sequences, targets)
    )
    return optimal_transport_distance(real, short)


def of_process(process: PointProcess, histories: list[Events], targets: list[Events], count: int) -> dict[str, float]:
    began = time.monotonic()
    guesses, paths, sequences = [], [], []
    for block in continuations(process, histories, count):
        for several in block:
            guesses.append(likely_events(several, num_types=TYPES, horizon=HORIZON, tolerance=TOLERANCE))
            sequences.append(likely_sequence(several, num_types=TYPES, length=COMPARED))
            paths.append(several[0])
    single = scores([ScoredEvents(*path, np.ones(len(path[0]))) for path in paths], targets)
    return scores(guesses, targets) | {
        "one path": single["T-mAP"],
        "OTD": distance(sequences, targets),
        "OTD of one path": distance(paths, targets),
        "seconds": time.monotonic() - began,
    }


def baselines(histories: list[Events], targets: list[Events]) -> dict[str, dict[str, float]]:
    results = {}
    popular = [most_popular(*history, num_types=TYPES, length=TARGETS) for history in histories]
    otd = distance([(each.times, each.types) for each in popular], targets)
    results["most popular"] = scores(popular, targets) | {"OTD": otd}
    for parts in (3, 5, 10):
        guesses = [
            history_density(*history, num_types=TYPES, horizon=HORIZON, intervals=parts) for history in histories
        ]
        results[f"history density, {parts} parts"] = scores(guesses, targets)
    return results


def table(results: dict[str, dict[str, float]]) -> str:
    columns = ("T-mAP", "own type", "one path", "weighted", "OTD", "OTD of one path", "guesses", "seconds")
    lines = [f"| forecast | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    for name, row in results.items():
        cells = " | ".join(f"{row[column]:.2f}" if column in row else "" for column in columns)
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--saved", type=Path, help="folder of fitted processes; missing ones are fitted and kept there")
    parser.add_argument("--processes", nargs="*", choices=list(PROCESSES), default=["hawkes, 6 decays"])
    parser.add_argument("--split", choices=["dev", "test"], default="test")
    parser.add_argument("--continuations", type=int, default=200)
    parser.add_argument("--every", type=int, default=1, help="only every n-th forecast")
    parser.add_argument("--seconds", type=float, default=600.0, help="of fitting a process")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    splits = {name: read(arguments.data / f"{name}.csv") for name in ("train", "dev", "test")}
    histories, targets = positions(splits[arguments.split], arguments.every)
    counted = np.mean([(times < HORIZON).sum() for times, _ in targets])
    print(f"{len(histories)} forecasts, {counted:.2f} targets each")
    results = baselines(histories, targets)
    print(table(results), flush=True)
    for name in arguments.processes:
        folder = arguments.saved / name.replace(", ", "_").replace(" ", "_") if arguments.saved else None
        if folder is not None and folder.exists():
            process = load(folder)
        else:
            process = PROCESSES[name](splits["train"], splits["dev"], arguments.seconds)
            if folder is not None:
                save(process, folder)
        results[name] = of_process(process, histories, targets, arguments.continuations)
        print(table({name: results[name]}), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
