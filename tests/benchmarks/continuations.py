"""Speed of counting simulated continuations, beside EasyTPP's generation in the same run.

    python -m tests.benchmarks.continuations [--items 1000] [--continuations 1000] [--threads 2] [--easytpp PYTHON]
        [--json FILE]

Items have 24 hours of feedback of 4 types, simulated from a classical process with branching ratio 0.8. Each process below is
fitted to them (`--epochs` passes) and continues every item to 7 days, until 10 horizons, as forecast curves need it:

    classical     the classical process
    m3tr 32, 8    the Mamba-Hawkes process with the pipeline's defaults: hidden 32, state 8
    m3tr 64, 16   with hidden 64, as EasyTPP's models here, and state 16
    batched       m3tr 32, 8 by the code for processes that are not compiled, with fewer continuations (`--batched`)

PYTHON is an interpreter of an environment with easy-tpp; its NHP and THP (hidden 64) generate 10 events for each of 64
sequences of 100 events. Events per second count all types; CPU seconds are of all threads; MB is the peak memory above the
level before. The compiled code is loaded before the measurement.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from pathlib import Path

import torch

from models import simulated_counts
from models.events import EventBatch
from models.hawkes import ExponentialHawkes, MambaHawkesProcess, PointProcess, fit
from models.simulated_counts import simulate_counts
from models.thinning import simulate
from tests.benchmarks.peak_memory import PeakMemory
from tests.benchmarks.process_speed import ask, empty, medians, write_inputs

TYPES, OBSERVED, HORIZON = 4, 24.0, 168.0
UNTIL = torch.tensor([25.0, 27.0, 30.0, 36.0, 48.0, 72.0, 96.0, 120.0, 144.0, HORIZON])
SIZES = {"m3tr 32, 8": (32, 8), "m3tr 64, 16": (64, 16)}


def truth() -> ExponentialHawkes:
    process = ExponentialHawkes(TYPES, shared=True).requires_grad_(False)
    matrix = torch.rand(TYPES, TYPES, 1, generator=torch.Generator().manual_seed(1))
    process.excitation.branching.copy_(matrix)
    process.excitation.branching.mul_(0.8 / process.branching_ratio())
    process.baseline.copy_(torch.linspace(0.01, 0.04, TYPES))
    process.excitation.log_rate.fill_(math.log(0.5))
    return process


def fitted(process: PointProcess, items: EventBatch, epochs: int) -> PointProcess:
    half = len(items) // 2
    fit(process, items[:half], items[half:], epochs=epochs)
    return process


def measure(process: PointProcess, items: EventBatch, continuations: int) -> dict[str, float]:
    """Return wall and CPU seconds, memory and events of one run."""
    options = {"counted": torch.ones(1, TYPES, dtype=torch.bool), "seeds": range(len(items))}
    simulate_counts(process, items[:1], UNTIL, continuations=2, **{**options, "seeds": [0]})
    memory, wall, cpu = PeakMemory(), time.perf_counter(), time.process_time()
    found = simulate_counts(process, items, UNTIL, continuations=continuations, **options)
    seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    events = int(found.counts[:, :, -1].sum())
    return {
        "events": events, "seconds": seconds, "CPU s": cpu_seconds, "MB": memory.megabytes(),
        "events/s": events / seconds, "events/CPU s": events / cpu_seconds, "capped": int(found.capped.sum()),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--continuations", type=int, default=1000)
    parser.add_argument("--batched", type=int, default=10, help="continuations per item of the row `batched`")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--easytpp", metavar="PYTHON", help="interpreter of an environment with easy-tpp")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    items = simulate(truth(), empty(arguments.items, "cpu"), until=OBSERVED, seeds=range(arguments.items))
    results, peers = {}, {}
    processes: dict[str, PointProcess] = {"classical": ExponentialHawkes(TYPES)}
    torch.manual_seed(0)
    processes |= {name: MambaHawkesProcess(TYPES, hidden=d, state=n) for name, (d, n) in SIZES.items()}
    for process in processes.values():
        fitted(process, items, arguments.epochs)
    if arguments.easytpp:
        with tempfile.TemporaryDirectory() as folder:
            write_inputs(Path(folder))
            peer = str(Path(__file__).with_name("easytpp_peer.py"))
            for model in ("NHP", "THP"):
                command = (arguments.easytpp, peer, "step", "--model", model, "--data", f"{folder}/few-step.npz")
                peers[model] = medians(ask(*command, "--threads", str(arguments.threads), "--rounds", "1"))["generated"]
                print(f"{model} generates {peers[model]:.0f} events/s", file=sys.stderr)
    for name, process in processes.items():
        results[name] = measure(process, items, arguments.continuations)
        print(json.dumps({name: results[name]}), file=sys.stderr)
    compiled, simulated_counts.compiled_process = simulated_counts.compiled_process, lambda process: None
    results["batched"] = measure(processes["m3tr 32, 8"], items, arguments.batched)
    simulated_counts.compiled_process = compiled
    print(table(results, peers))
    if arguments.json:
        arguments.json.write_text(json.dumps({"ours": results, "generated": peers}, indent=2) + "\n")


def table(results: dict[str, dict[str, float]], peers: dict[str, float]) -> str:
    columns = ("events", "seconds", "CPU s", "MB", "events/s", "events/CPU s")
    lines = [f"| process | {' | '.join(columns)} |" + "".join(f" times {name} |" for name in peers)]
    lines.append("|---|" + "---:|" * (len(columns) + len(peers)))
    for name, row in results.items():
        cells = " | ".join(f"{row[column]:,.{1 if column in ('seconds', 'CPU s') else 0}f}" for column in columns)
        lines.append(f"| {name} | {cells} |" + "".join(f" {row['events/s'] / rate:,.0f} |" for rate in peers.values()))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
