"""Time and memory of the process beside its peers, on the same inputs, as ratios of one run.

    python -m tests.benchmarks.process_speed [--threads 2] [--device cpu | cuda] [--tick PYTHON] [--easytpp PYTHON]
        [--json FILE]

Each measurement has a process of its own: the best of several rounds, and how much memory was held at the peak above
what was held at rest. PYTHON is an interpreter of an environment that has the peer; without it the peer's cells stay
empty. Inputs: 5,000 sequences of 200 events of 4 types, simulated from a classical process (branching ratio 0.6).

    likelihood   log-likelihood and gradient of the classical process, 1,000 x 200 events, from arrays a sequence
    step         a training step of the Mamba-Hawkes process, batch 64 x 128 events, hidden 64, state 16
    simulate     5,000 sequences of 200 events, classical process; and Mamba-Hawkes process, 1,000 sequences
    scan         forward and backward, (b, l, d, n), against the plain loop over unbound events, by autograd
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
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

TYPES, RATE = 4, 1.5
SEQUENCES, EVENTS = 5000, 200
BATCH, LENGTH, HIDDEN, STATE = 64, 128, 64, 16
SCANS = {"scan (64, 128, 64, 16)": (64, 128, 64, 16), "scan (1, 8192, 64, 16)": (1, 8192, 64, 16)}
RULES = ("zoh", "euler")


def classical(device: str = "cpu") -> ExponentialHawkes:
    process = ExponentialHawkes(TYPES, shared=True).requires_grad_(False)
    matrix = torch.rand(TYPES, TYPES, 1, generator=torch.Generator().manual_seed(1))
    process.excitation.branching.copy_(matrix)
    process.excitation.branching.mul_(0.6 / process.branching_ratio())
    process.baseline.copy_(torch.linspace(0.3, 0.6, TYPES))
    process.excitation.log_rate.fill_(math.log(RATE))
    return process.to(device)


def empty(rows: int, device: str) -> EventBatch:
    return EventBatch.from_sequences([[]] * rows, [[]] * rows, t_end=[0.0] * rows).to(device)


def mamba(stored: dict, device: str, **options) -> tuple[MambaHawkesProcess, EventBatch]:
    times, types = (torch.from_numpy(stored[name][:BATCH, :LENGTH]) for name in ("times", "types"))
    batch = EventBatch(times, types, torch.full((BATCH,), LENGTH), times[:, -1]).to(device)
    torch.manual_seed(0)
    process = MambaHawkesProcess(TYPES, hidden=HIDDEN, state=STATE, **options)
    process.time_scale.fill_(float(batch.gaps.mean()))
    return process.to(device), batch


def likelihood(stored: dict, device: str) -> Callable[[], object]:
    process = classical(device).requires_grad_(True)
    times, types = list(stored["times"]), list(stored["types"])

    def run() -> None:
        process.zero_grad()
        batch = EventBatch.from_sequences(times, types).to(device)
        process.log_likelihood(batch).sum().backward()

    return run


def training_step(intensity: str) -> Callable[[dict, str], Callable[[], object]]:
    def prepare(stored: dict, device: str) -> Callable[[], object]:
        process, batch = mamba(stored, device, intensity=intensity)
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
    process = classical(device)
    return lambda: simulate(process, empty(SEQUENCES, device), length=EVENTS, seeds=range(SEQUENCES))


def neural_simulation(stored: dict, device: str) -> Callable[[], object]:
    process, _ = mamba(stored, device)
    return lambda: simulate(process, empty(1000, device), length=EVENTS, seeds=range(1000))


def plain_loop(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, *, discretization: str) -> Tensor:
    """The recurrence as one would write it, for autograd to differentiate."""
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
    "step, m3tr": training_step("m3tr"),
    "step, mufm": training_step("mufm"),
    "simulate, classical": simulation,
    "simulate, m3tr": neural_simulation,
}
for name, shape in SCANS.items():
    for rule in RULES:
        for shared, whose in ((False, "own"), (True, "shared")):
            OURS[f"{name} {rule}, {whose} decays"] = scan(selective_scan, shape, rule, shared)
            OURS[f"{name} {rule}, {whose} decays: loop"] = scan(plain_loop, shape, rule, shared)


def measure(name: str, data: str, device: str, rounds: int) -> dict[str, float]:
    """Seconds of the best round and megabytes above those at rest, in this process."""
    stored = dict(np.load(data))
    if name == "likelihood":
        stored |= {field: stored[field][:1000] for field in ("times", "types")}
    run = OURS[name](stored, device)
    cuda = device.startswith("cuda")
    memory = torch.cuda.memory_allocated() if cuda else PeakMemory()
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        run()
        if cuda:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    peak = (torch.cuda.max_memory_allocated() - memory) / 2**20 if cuda else memory.megabytes()
    return {"seconds": min(seconds), "megabytes": peak}


def ask(*command: str) -> dict:
    """What a child process prints as JSON in its last line."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def write_inputs(path: Path) -> None:
    process = classical()
    made = simulate(process, empty(SEQUENCES, "cpu"), length=EVENTS, seeds=range(SEQUENCES))
    np.savez(
        path,
        times=made.times.numpy(),
        types=made.types.numpy(),
        baseline=process.baseline.numpy(),
        branching=process.branching_matrix().numpy(),
        rate=RATE,
    )
    np.savez(
        path.with_name("step.npz"),
        times=made.times[:BATCH, :LENGTH].numpy(),
        types=made.types[:BATCH, :LENGTH].numpy(),
        lengths=np.full(BATCH, LENGTH),
        hidden=HIDDEN,
    )
    np.savez(
        path.with_name("likelihood.npz"),
        **{**np.load(path), "times": made.times[:1000].numpy(), "types": made.types[:1000].numpy()},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=7)
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
    common = ["--threads", str(arguments.threads), "--rounds", str(arguments.rounds)]
    here = Path(__file__)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "inputs.npz"
        write_inputs(data)
        ours = [sys.executable, "-m", "tests.benchmarks.process_speed", "--device", arguments.device, *common]
        found = {name: ask(*ours, "--data", str(data), "--measure", name) for name in OURS}
        if arguments.tick:
            peer = [arguments.tick, str(here.with_name("tick_peer.py"))]
            found["tick likelihood"] = ask(
                *peer, "likelihood", "--data", str(data.with_name("likelihood.npz")), *common
            )
            found["tick simulate"] = ask(*peer, "simulate", "--data", str(data), "--rounds", "2", *common[:2])
        if arguments.easytpp:
            peer = [arguments.easytpp, str(here.with_name("easytpp_peer.py")), "step"]
            for model in ("THP", "NHP"):
                step = str(data.with_name("step.npz"))
                found[model] = ask(*peer, "--model", model, "--data", step, *common)[model]
    print("\n".join(table(found)))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


def table(found: dict[str, dict[str, float]]) -> list[str]:
    """Markdown: what was measured, what stands beside it, and how many times faster ours is."""
    generated = {name: found[name]["generated"] for name in ("THP", "NHP") if name in found}
    beside = [
        ("likelihood", "tick likelihood"),
        ("step, m3tr", "THP"), ("step, m3tr", "NHP"), ("step, mufm", "THP"), ("step, mufm", "NHP"),
        ("simulate, classical", "tick simulate"),
    ]  # fmt: skip
    beside += [(name, f"{name}: loop") for name in OURS if f"{name}: loop" in OURS]
    lines = ["| what | ours, ms | MB | beside | its ms | MB | times faster |", "|---|---:|---:|---|---:|---:|---:|"]
    for name, other in beside:
        mine, theirs = found[name], found.get(other)
        cells = f"| {name} | {1e3 * mine['seconds']:.1f} | {mine['megabytes']:.0f} |"
        if theirs is None:
            lines.append(cells + f" {other} | | | |")
            continue
        ratio = theirs["seconds"] / mine["seconds"]
        lines.append(cells + f" {other} | {1e3 * theirs['seconds']:.1f} | {theirs['megabytes']:.0f} | {ratio:.2f} |")
    lines += ["", "| simulate | events/s | MB | " + "".join(f"times {name}'s generation | " for name in generated)]
    lines.append("|---|---:|---:|" + "---:|" * len(generated))
    for name, events in (("simulate, classical", SEQUENCES * EVENTS), ("simulate, m3tr", 1000 * EVENTS)):
        rate = events / found[name]["seconds"]
        ratios = "".join(f"{rate / other:.0f} | " for other in generated.values())
        lines.append(f"| {name} | {rate:,.0f} | {found[name]['megabytes']:.0f} | {ratios}")
    return lines


if __name__ == "__main__":
    main()
