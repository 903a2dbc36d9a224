"""Train and evaluate point processes on the StackOverflow badges, and print one table for the test split.

    python -m tests.benchmarks.stackoverflow --data FOLDER [--processes m3tr mufm ...] [--seconds 600] [--threads 2]
        [--easytpp PYTHON] [--json FILE]

FOLDER holds train.csv, dev.csv and test.csv with the columns sequence, time (unix seconds), type (from 1). Times are
taken in days from each sequence's first event. The window is [t_1, t_n]: events 2 to n, given the first. All figures are
per event:

    loglik, time, type   nats; log-likelihood = log density of the time + log probability of the type at that time;
                         the compensator is exact to 1e-6 (Gauss-Legendre halved until it is, or closed form)
    acc@t, acc           share of types guessed at the true time of the event, and with the time integrated out
    se                   standard error of acc@t over users, whose events stand or fall together
    MAE                  days, of the median of the next event's time
    KS                   distance of the time-rescaled residuals from the unit exponential distribution
    branching            spectral radius of the branching matrix of the classical part
    seconds              of training, all threads

With --easytpp the THP and NHP of EasyTPP are trained for the same time beside ours, by that interpreter (a virtual
environment with easy-tpp and torch), and evaluated as exactly.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from models.events import EventBatch
from models.goodness import time_rescaling
from models.hawkes import ExponentialHawkes, MambaHawkesProcess, PointProcess, fit, next_event
from models.hawkes.history import counted_events, window_bounds

TYPES = 22
DAY = 86400.0
NEURAL = {"hidden": 64, "state": 16, "dropout": 0.1}
INPUTS = {"count_scales": 6, "clock_periods": 8}
CLASSICAL_PART = {"decays": 6, "shared_decays": True}
TRAINING = {
    "batch_size": 32, "learning_rate": 4e-3, "weight_decay": 0.05, "averaging": 0.995, "epochs": 60, "patience": 25,
}  # fmt: skip


def read(path: Path) -> EventBatch:
    """Return one split, in days from each sequence's first event."""
    rows = np.loadtxt(path, delimiter=",", skiprows=1)
    parts = np.split(rows, np.flatnonzero(np.diff(rows[:, 0])) + 1)
    return EventBatch.from_sequences(
        [(part[:, 1] - part[0, 1]) / DAY for part in parts], [part[:, 2].astype(np.int64) - 1 for part in parts]
    )


def poisson(train: EventBatch, dev: EventBatch, seconds: float) -> PointProcess:
    process = ExponentialHawkes(TYPES, shared=True)
    start, end = window_bounds(train, "events")
    counts = torch.bincount(train.types[counted_events(train, "events")], minlength=TYPES).double()
    with torch.no_grad():
        process.baseline.copy_(counts.clamp_min(0.5) / (end - start).sum())
        process.excitation.branching.zero_()
    return process


def classical(decays: int) -> Callable[[EventBatch, EventBatch, float], PointProcess]:
    def train(train: EventBatch, dev: EventBatch, seconds: float) -> PointProcess:
        process = ExponentialHawkes(TYPES, decays=decays, shared=True)
        fit(process, train, dev, window="events", max_seconds=seconds, progress=_say)
        return process

    return train


def neural(**options) -> Callable[[EventBatch, EventBatch, float], PointProcess]:
    def train(train: EventBatch, dev: EventBatch, seconds: float) -> PointProcess:
        process = MambaHawkesProcess(TYPES, **NEURAL, **options)
        fit(process, train, dev, window="events", max_seconds=seconds, progress=_say, **TRAINING)
        return process

    return train


PROCESSES = {
    "poisson": poisson,
    "hawkes, 1 decay": classical(1),
    "hawkes, 6 decays": classical(6),
    "m3tr": neural(intensity="m3tr", **CLASSICAL_PART, **INPUTS),
    "m3tr, zoh": neural(intensity="m3tr", input_rule="zoh", **CLASSICAL_PART, **INPUTS),
    "m3tr, softplus of beta 1": neural(intensity="m3tr", softness=None, **CLASSICAL_PART, **INPUTS),
    "m3tr, types and gaps only": neural(intensity="m3tr", **CLASSICAL_PART),
    "mufm": neural(intensity="mufm", **INPUTS),
    "mufm, zoh": neural(intensity="mufm", input_rule="zoh", **INPUTS),
}


@torch.no_grad()
def evaluate(process: PointProcess, events: EventBatch) -> dict[str, float]:
    """Return the table's figures for one split."""
    process.eval()
    total = dict.fromkeys(("loglik", "type", "acc@t", "acc", "MAE"), 0.0)
    count, by_user = 0, []
    for rows in events.lengths.argsort().split(64):
        batch = events[rows]
        counted = counted_events(batch, "events")
        types = batch.types[counted]
        rates = process.intensity(batch, batch.times)[counted].double()
        ahead = next_event(process, batch)
        own, integral = process.log_likelihood_parts(batch, window="events")
        total["loglik"] += float(own.sum() - integral.sum())
        total["type"] += float(own.sum() - rates.sum(-1).log().sum())
        hits = torch.zeros_like(counted)
        hits[counted] = rates.argmax(-1) == types
        by_user.append(torch.stack([hits.sum(1), counted.sum(1)]))
        total["acc@t"] += int(hits.sum())
        total["acc"] += int((ahead.type_probability[:, :-1][counted].argmax(-1) == types).sum())
        total["MAE"] += float((ahead.median_gap[:, :-1][counted] - batch.gaps[counted]).abs().sum())
        count += len(types)
    figures = {name: value / count for name, value in total.items()}
    hits, events_of = torch.cat(by_user, dim=1).double()
    figures["se"] = float((hits - figures["acc@t"] * events_of).square().sum().sqrt()) / count
    figures["time"] = figures["loglik"] - figures["type"]
    figures["KS"] = time_rescaling(process, events, window="events").statistic
    figures["branching"] = process.branching_ratio()
    return figures


def most_frequent(train: EventBatch, test: EventBatch) -> dict[str, float]:
    guess = torch.bincount(train.types[train.mask]).argmax()
    hits = (test.types[counted_events(test, "events")] == guess).double().mean()
    return {"acc@t": float(hits), "acc": float(hits)}


def peers(
    python: str, splits: dict[str, EventBatch], seconds: float, threads: int, models: list[str]
) -> dict[str, dict[str, float]]:
    """Return the figures of EasyTPP's models, trained and evaluated by the interpreter `python`."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.npz"
        parts = {
            f"{name}_{field}": getattr(events, field).numpy()
            for name, events in splits.items()
            for field in ("times", "types", "lengths")
        }
        np.savez(data, **parts)
        script = Path(__file__).with_name("easytpp_peer.py")
        options = ["--data", str(data), "--seconds", str(seconds), "--threads", str(threads), "--models", *models]
        done = subprocess.run([python, str(script), "train", *options], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _say(epoch) -> None:
    if epoch.index % 10 == 0:
        print(f"    {epoch.index:4d}  train {epoch.train:.4f}  dev {epoch.dev:.4f}  {epoch.seconds:.0f} s", flush=True)


def table(results: dict[str, dict[str, float]]) -> str:
    columns = ("loglik", "time", "type", "acc@t", "se", "acc", "MAE", "KS", "branching", "seconds")
    digits = {"MAE": 2, "branching": 2, "seconds": 0}
    lines = ["| process | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    for name, figures in results.items():
        cells = [f"{figures[c]:.{digits.get(c, 4)}f}" if c in figures else "" for c in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--processes", nargs="*", choices=list(PROCESSES), default=list(PROCESSES))
    parser.add_argument("--seconds", type=float, default=600.0, help="training time of each process, at most")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--easytpp", metavar="PYTHON", help="interpreter of an environment with easy-tpp")
    parser.add_argument(
        "--peers", nargs="+", choices=["THP", "NHP"], default=["THP", "NHP"], help="its models to train"
    )
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    splits = {name: read(arguments.data / f"{name}.csv") for name in ("train", "dev", "test")}
    print({name: (len(events), events.num_events) for name, events in splits.items()})
    results = {"most frequent type": most_frequent(splits["train"], splits["test"])}
    for name in arguments.processes:
        print(f"  {name}", flush=True)
        torch.manual_seed(0)
        began = time.monotonic()
        process = PROCESSES[name](splits["train"], splits["dev"], arguments.seconds)
        seconds = time.monotonic() - began
        results[name] = evaluate(process, splits["test"]) | {"seconds": seconds}
        print(table({name: results[name]}), flush=True)  # a run takes an hour, and may be stopped
    if arguments.easytpp:
        results |= peers(arguments.easytpp, splits, arguments.seconds, arguments.threads, arguments.peers)
    print(table(results))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
