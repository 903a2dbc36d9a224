"""Time and memory of the process and of its peers on the same inputs, with ratios from one run.

    python -m tests.benchmarks.process_speed [--threads 2] [--rounds 7] [--passes 3] [--device cpu | cuda] [--tick PYTHON]
        [--easytpp PYTHON] [--json FILE]

PYTHON is an interpreter of an environment that has the peer; without it the peer's cells stay empty. Each measurement
has a process of its own, and the measurements alternate: every pass runs each of them once, for several rounds. The
first round of a process is a warm-up. Reported are medians over the rounds of all passes: wall time, CPU seconds of all
threads, and the peak memory above the level at rest.

Inputs: 5,000 sequences of 200 events, simulated from a classical process with branching ratio 0.6, of 4 types and of 22.

    likelihood   log-likelihood and gradient of the classical process, 1,000 x 200 events of 4 types, from an array per sequence
    step         training step of the Mamba-Hawkes process, batch 64 x 128 events, hidden 64, state 16, 4 types
    recommended  the same with the configuration that docs/process.md recommends: 22 types, 6 shared decays, counts, clock
    simulate     5,000 sequences of 200 events of the classical process, and 1,000 of the Mamba-Hawkes process
    scan         forward and backward, (b, l, d, n), beside the plain loop over unbound events, by autograd
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.events import EventBatch
from models.hawkes import ExponentialHawkes, MambaHawkesProcess
from models.scan import selective_scan
from models.thinning import simulate
from tests.benchmarks.peak_memory import PeakMemory
from tests.benchmarks.rounds import rounds_of

TYPES, RATE = {"few": 4, "many": 22}, 1.5
SEQUENCES, EVENTS = 5000, 200
BATCH, LENGTH, HIDDEN, STATE = 64, 128, 64, 16
SCANS = {"scan (64, 128, 64, 16)": (64, 128, 64, 16), "scan (1, 8192, 64, 16)": (1, 8192, 64, 16)}
RULES = ("zoh", "euler")
# the configuration that docs/process.md recommends for many types (tests/benchmarks/stackoverflow.py)
RECOMMENDED = {"decays": 6, "shared_decays": True, "count_scales": 6, "clock_periods": 8, "dropout": 0.1}


def classical(types: int, device: str = "cpu") -> ExponentialHawkes:
    process = ExponentialHawkes(types, shared=True).requires_grad_(False)
    matrix = torch.rand(types, types, 1, generator=torch.Generator().manual_seed(1))
    process.excitation.branching.copy_(matrix)
    process.excitation.branching.mul_(0.6 / process.branching_ratio())
    process.baseline.copy_(torch.linspace(0.3, 0.6, types))
    process.excitation.log_rate.fill_(math.log(RATE))
    return process.to(device)


def empty(rows: int, device: str) -> EventBatch:
    return EventBatch.from_sequences([[]] * rows, [[]] * rows, t_end=[0.0] * rows).to(device)


def mamba(stored: dict, device: str, **options) -> tuple[MambaHawkesProcess, EventBatch]:
    times, types = (torch.from_numpy(stored[name][:BATCH, :LENGTH]) for name in ("times", "types"))
    batch = EventBatch(times, types, torch.full((BATCH,), LENGTH), times[:, -1]).to(device)
    torch.manual_seed(0)
    process = MambaHawkesProcess(int(stored["num_types"]), hidden=HIDDEN, state=STATE, **options)
    process.time_scale.fill_(float(batch.gaps.mean()))
    return process.to(device), batch


def likelihood(stored: dict, device: str) -> Callable[[], object]:
    process = classical(int(stored["num_types"]), device).requires_grad_(True)
    times, types = list(stored["times"]), list(stored["types"])

    def run() -> None:
        process.zero_grad()
        batch = EventBatch.from_sequences(times, types).to(device)
        process.log_likelihood(batch).sum().backward()

    return run


def training_step(**options) -> Callable[[dict, str], Callable[[], object]]:
    def prepare(stored: dict, device: str) -> Callable[[], object]:
        process, batch = mamba(stored, device, **options)
        process.train()
        optimiser = torch.optim.Adam(process.parameters())

        def run() -> None:
            loss = -process.log_likelihood(batch).sum() / batch.num_events
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

        return run

    return prepare


def simulation(stored: dict, device: str) -> Callable[[], object]:
    process = classical(int(stored["num_types"]), device)
    return lambda: simulate(process, empty(SEQUENCES, device), length=EVENTS, seeds=range(SEQUENCES))


def neural_simulation(stored: dict, device: str) -> Callable[[], object]:
    process, _ = mamba(stored, device)
    return lambda: simulate(process, empty(1000, device), length=EVENTS, seeds=range(1000))


def plain_loop(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, *, discretization: str) -> Tensor:
    """Return the recurrence as a plain loop, which autograd differentiates."""
    gap = delta[:, :, None, None]
    decay = torch.exp(gap * A)
    weight = torch.expm1(gap * A) / A if discretization == "zoh" else gap
    added = weight * B[:, :, None] * x[..., None]
    z, rows = torch.zeros_like(added[:, 0]), []
    for kept, new, read in zip(decay.unbind(1), added.unbind(1), C.unbind(1)):
        z = kept * z + new
        rows.append((z * read[:, None]).sum(-1))
    return torch.stack(rows, dim=1)


def scan(
    function: Callable[..., Tensor], shape: tuple[int, ...], rule: str, shared: bool
) -> Callable[[dict, str], Callable[[], object]]:
    def prepare(stored: dict, device: str) -> Callable[[], object]:
        b, length, d, n = shape
        g = torch.Generator().manual_seed(0)
        rows = 1 if shared else d
        parts = [torch.randn(b, length, m, generator=g) for m in (d, n, n)]
        delta, A = torch.rand(b, length, generator=g), -0.1 - torch.rand(rows, n, generator=g)
        x, B, C = (part.to(device).requires_grad_() for part in parts)
        delta, A = delta.to(device), A.to(device).requires_grad_()
        upstream = torch.ones_like(x)
        return lambda: function(x, delta, A, B, C, discretization=rule).backward(upstream)

    return prepare


OURS = {
    "likelihood": likelihood,
    "step, m3tr": training_step(intensity="m3tr"),
    "step, mufm": training_step(intensity="mufm"),
    "recommended, m3tr": training_step(intensity="m3tr", **RECOMMENDED),
    "simulate, classical": simulation,
    "simulate, m3tr": neural_simulation,
}
for name, shape in SCANS.items():
    for rule in RULES:
        for shared, whose in ((False, "own"), (True, "shared")):
            OURS[f"{name} {rule}, {whose} decays"] = scan(selective_scan, shape, rule, shared)
            OURS[f"{name} {rule}, {whose} decays: loop"] = scan(plain_loop, shape, rule, shared)


def measure(name: str, data: str, device: str, rounds: int) -> dict[str, list[float]]:
    """Return wall and CPU seconds per round, and megabytes above those at rest, in this process."""
    stored = dict(np.load(data))
    if name == "likelihood":
        stored |= {field: stored[field][:1000] for field in ("times", "types")}
    run = OURS[name](stored, device)
    cuda = device.startswith("cuda")
    memory = torch.cuda.memory_allocated() if cuda else PeakMemory()

    def finished() -> None:
        run()
        if cuda:
            torch.cuda.synchronize()

    found = rounds_of(finished, rounds)
    peak = (torch.cuda.max_memory_allocated() - memory) / 2**20 if cuda else memory.megabytes()
    return found | {"megabytes": [peak]}


def medians(found: dict[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(values) for name, values in found.items()}


def ask(*command: str) -> dict:
    """Return the JSON object that a child process prints in its last line."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def write_inputs(folder: Path) -> None:
    """Write the simulated sequences of each number of types, and the parts of them that the peers read."""
    for kind, types in TYPES.items():
        process = classical(types)
        made = simulate(process, empty(SEQUENCES, "cpu"), length=EVENTS, seeds=range(SEQUENCES))
        truth = {
            "num_types": types,
            "baseline": process.baseline.numpy(),
            "branching": process.branching_matrix().numpy(),
            "rate": RATE,
            "hidden": HIDDEN,
        }
        parts = {kind: (SEQUENCES, EVENTS), f"{kind}-likelihood": (1000, EVENTS), f"{kind}-step": (BATCH, LENGTH)}
        for name, (rows, length) in parts.items():
            times, marks = (values[:rows, :length].numpy() for values in (made.times, made.types))
            np.savez(folder / f"{name}.npz", times=times, types=marks, lengths=np.full(rows, length), **truth)


def measurements(arguments: argparse.Namespace, folder: Path) -> dict[str, tuple[str, ...]]:
    """Return the command of each measurement."""
    common = ("--threads", str(arguments.threads), "--rounds", str(arguments.rounds))
    ours = (sys.executable, "-m", "tests.benchmarks.process_speed", "--device", arguments.device, *common)
    here = Path(__file__)

    def inputs(name: str) -> tuple[str, str]:
        return "--data", str(folder / f"{name}.npz")

    commands = {
        name: (*ours, *inputs("many" if name.startswith("recommended") else "few"), "--measure", name) for name in OURS
    }
    if arguments.tick:
        peer = (arguments.tick, str(here.with_name("tick_peer.py")))
        commands["tick likelihood"] = (*peer, "likelihood", *inputs("few-likelihood"), *common)
        commands["tick simulate"] = (*peer, "simulate", *inputs("few"), "--rounds", "2", *common[:2])
    if arguments.easytpp:
        peer = (arguments.easytpp, str(here.with_name("easytpp_peer.py")), "step")
        for model in ("THP", "NHP"):
            commands[model] = (*peer, "--model", model, *inputs("few-step"), *common)
            commands[f"{model}, 22 types"] = (*peer, "--model", model, *inputs("many-step"), *common)
    return commands


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=7, help="rounds per pass, after a warm-up")
    parser.add_argument("--passes", type=int, default=3, help="how often every measurement is started")
    parser.add_argument("--only", nargs="*", help="only measurements whose name begins with one of these")
    parser.add_argument("--tick", metavar="PYTHON", help="interpreter of an environment with tick")
    parser.add_argument("--easytpp", metavar="PYTHON", help="interpreter of an environment with easy-tpp")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    parser.add_argument("--measure", choices=list(OURS), help="only this, in this process, on the inputs of --data")
    parser.add_argument("--data", help="with --measure: the inputs' file")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.data, arguments.device, arguments.rounds)))
        return
    found: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        write_inputs(Path(folder))
        commands = measurements(arguments, Path(folder))
        if arguments.only:
            commands = {name: command for name, command in commands.items() if name.startswith(tuple(arguments.only))}
        for _ in range(arguments.passes):
            for name, command in commands.items():
                for kind, values in ask(*command).items():
                    found.setdefault(name, {}).setdefault(kind, []).extend(values)
    print("\n".join(table({name: medians(values) for name, values in found.items()})))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


def table(found: dict[str, dict[str, float]]) -> list[str]:
    """Return Markdown: each measurement, its peer, and the ratios of wall time and of CPU time."""
    beside = [
        ("likelihood", "tick likelihood"),
        ("step, m3tr", "THP"), ("step, m3tr", "NHP"), ("step, mufm", "THP"), ("step, mufm", "NHP"),
        ("recommended, m3tr", "THP, 22 types"), ("recommended, m3tr", "NHP, 22 types"),
        ("simulate, classical", "tick simulate"),
    ]  # fmt: skip
    beside += [(name, f"{name}: loop") for name in OURS if f"{name}: loop" in OURS]
    lines = [
        "| task | ms | CPU ms | MB | peer | its ms | its CPU ms | its MB | times faster | in CPU time |",
        "|---|" + "---:|" * 3 + "---|" + "---:|" * 5,
    ]
    for name, other in beside:
        if name not in found:
            continue
        mine, theirs = found[name], found.get(other)
        cells = f"| {name} | {_times(mine)} | {other} |"
        if theirs is None:
            lines.append(cells + " | | | | |")
            continue
        ratios = (theirs[kind] / mine[kind] for kind in ("seconds", "cpu_seconds"))
        lines.append(cells + f" {_times(theirs)} | " + " | ".join(f"{ratio:.2f}" for ratio in ratios) + " |")
    generated = {name: found[name]["generated"] for name in ("THP", "NHP") if name in found}
    lines += ["", "| simulate | events/s | MB | " + "".join(f"times {name}'s generation | " for name in generated)]
    lines.append("|---|---:|---:|" + "---:|" * len(generated))
    for name, events in (("simulate, classical", SEQUENCES * EVENTS), ("simulate, m3tr", 1000 * EVENTS)):
        if name in found:
            rate = events / found[name]["seconds"]
            ratios = "".join(f"{rate / other:.0f} | " for other in generated.values())
            lines.append(f"| {name} | {rate:,.0f} | {found[name]['megabytes']:.0f} | {ratios}")
    return lines


def _times(found: dict[str, float]) -> str:
    return f"{1e3 * found['seconds']:.1f} | {1e3 * found['cpu_seconds']:.1f} | {found['megabytes']:.0f}"


if __name__ == "__main__":
    main()
