"""Run EasyTPP's THP and NHP for the benchmarks, in an interpreter that has easy-tpp and torch instead of this project.

    PYTHON tests/benchmarks/easytpp_peer.py train --data FILE.npz --seconds 600 [--threads 2]
    PYTHON tests/benchmarks/easytpp_peer.py step --data FILE.npz --model THP [--threads 2]

`train` trains each model with Adam for the given time, on times divided by the mean gap (otherwise THP does not train),
and keeps the weights that are best on dev. It integrates the intensity by Gauss-Legendre quadrature on 16 panels per
gap instead of EasyTPP's 20-point trapezoid, which the models can exploit. `step` times a training step and EasyTPP's
generation. The last line printed is JSON.
"""

import argparse
import copy
import json
import math
import time
from types import SimpleNamespace

import numpy as np
import torch
from easy_tpp.model import NHP, THP
from peak_memory import PeakMemory  # beside this file
from rounds import rounds_of

MODELS = {"THP": THP, "NHP": NHP}
LEARNING_RATE = {"THP": 1e-3, "NHP": 2e-3}
BATCH = 32
GENERATED = 10  # events per sequence


def make(name, num_types, hidden=64):
    torch.manual_seed(0)
    thinning = SimpleNamespace(
        num_sample=1,
        num_exp=500,
        over_sample_rate=5,
        patience_counter=5,
        num_samples_boundary=5,
        dtime_max=5,
        num_step_gen=1,
    )
    return MODELS[name](
        SimpleNamespace(
            hidden_size=hidden,
            num_event_types=num_types,
            num_event_types_pad=num_types + 1,
            pad_token_id=num_types,
            loss_integral_num_sample_per_step=20,
            use_mc_samples=False,
            gpu=-1,
            thinning=thinning,
            model_specs={},
            time_emb_size=16,
            use_ln=False,
            num_layers=2,
            num_heads=4,
            dropout_rate=0.1,
        )
    )


def inputs(times, types, lengths, num_types):
    """Return EasyTPP's keyword inputs from padded arrays (b, l)."""
    width = int(lengths.max())
    times, types = torch.as_tensor(times[:, :width]), torch.as_tensor(types[:, :width])
    real = torch.arange(width) < torch.as_tensor(lengths)[:, None]
    gaps = torch.diff(times, dim=1, prepend=times[:, :1])
    future = torch.triu(torch.ones(width, width, dtype=torch.bool), diagonal=1)
    return {
        "time_seqs": torch.where(real, times, 0.0).float(),
        "time_delta_seqs": torch.where(real, gaps, 0.0).float(),
        "type_seqs": torch.where(real, types, num_types),
        "seq_non_pad_mask": real,
        "attention_mask": future | ~real[:, None, :],
    }


def step(model, optimiser, batch):
    loss, events = model.loglike_loss(**batch)
    optimiser.zero_grad()
    (loss / events).backward()
    optimiser.step()


def rates(model, batch, elapsed):
    """Return the intensity (b, l - 1, q, k) at `elapsed` (b, l - 1, q) after each event but the last."""
    if isinstance(model, THP):
        mask = batch["attention_mask"][:, :-1, :-1]
        hidden = model(batch["time_seqs"][:, :-1], batch["type_seqs"][:, :-1], mask)
        return model.softplus(model.compute_states_at_sample_times(event_states=hidden, sample_dtimes=elapsed))
    _, right = model((batch["time_seqs"], batch["time_delta_seqs"], batch["type_seqs"], None, None))
    return model.layer_intensity(model.get_states(right[:, :-1], elapsed))


@torch.no_grad()
def evaluate(model, batches, scale):
    """Return the log-likelihood per event in the original unit, its time and type parts, and the accuracy at the true time."""
    model.eval()
    nodes, weights = np.polynomial.legendre.leggauss(8)
    edges = np.concatenate([[0.0], np.geomspace(1e-3, 1.0, 16)])  # intensities change most just after an event
    low, width = edges[:-1, None], np.diff(edges)[:, None]
    points = torch.tensor((low + width * (nodes + 1) / 2).ravel()).float()
    shares = torch.tensor((width * weights / 2).ravel()).float()
    total = {"loglik": 0.0, "type": 0.0, "acc@t": 0.0}
    count = 0
    for batch in batches:
        real, gaps = batch["seq_non_pad_mask"][:, 1:], batch["time_delta_seqs"][:, 1:]
        types = batch["type_seqs"][:, 1:][real]
        here = rates(model, batch, gaps[..., None])[:, :, 0][real]
        integral = torch.zeros_like(gaps)
        for part, share in zip(points.split(17), shares.split(17)):
            integral += (rates(model, batch, gaps[..., None] * part).sum(-1) * share).sum(-1) * gaps
        own = here.gather(1, types[:, None]).squeeze(1)
        total["loglik"] += float(own.log().double().sum() - integral[real].double().sum())
        total["type"] += float((own / here.sum(-1)).log().double().sum())
        total["acc@t"] += int((here.argmax(-1) == types).sum())
        count += len(types)
    figures = {name: value / count for name, value in total.items()}
    figures["loglik"] -= math.log(scale)
    figures["time"] = figures["loglik"] - figures["type"]
    return figures


def train(arguments):
    stored = np.load(arguments.data)
    num_types = 1 + max(int(stored[f"{name}_types"].max()) for name in ("train", "dev", "test"))
    lengths, times = stored["train_lengths"], stored["train_times"]
    last = times[np.arange(len(lengths)), np.maximum(lengths - 1, 0)]
    scale = float((last - times[:, 0]).sum() / (lengths - 1).clip(0).sum())

    def batches(name):
        order = np.argsort(stored[f"{name}_lengths"], kind="stable")
        for rows in np.array_split(order, max(1, len(order) // BATCH)):
            parts = [stored[f"{name}_{field}"][rows] for field in ("times", "types", "lengths")]
            yield inputs(parts[0] / scale, parts[1], parts[2], num_types)

    data = {name: list(batches(name)) for name in ("train", "dev", "test")}
    results = {}
    for name in arguments.models:
        model = make(name, num_types)
        optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE[name])
        rng, began, best, kept = np.random.default_rng(0), time.monotonic(), -math.inf, None
        while time.monotonic() - began < arguments.seconds:
            model.train()
            for number in rng.permutation(len(data["train"])):
                step(model, optimiser, data["train"][number])
                if time.monotonic() - began > arguments.seconds:
                    break
            score = evaluate(model, data["dev"], scale)["loglik"]
            if score > best:
                best, kept = score, copy.deepcopy(model.state_dict())
        seconds = time.monotonic() - began
        model.load_state_dict(kept)
        results[f"{name} (EasyTPP)"] = evaluate(model, data["test"], scale) | {"seconds": seconds}
    print(json.dumps(results))


def measure(arguments):
    """Return the seconds of a training step, and the events per second of EasyTPP's generation amid 200 events."""
    stored = np.load(arguments.data)
    batch = inputs(stored["times"], stored["types"], stored["lengths"], int(stored["num_types"]))
    memory = PeakMemory()
    model = make(arguments.model, int(stored["num_types"]), hidden=int(stored["hidden"])).train()
    optimiser = torch.optim.Adam(model.parameters())
    found = rounds_of(lambda: step(model, optimiser, batch), arguments.rounds)
    megabytes = memory.megabytes()
    model.eval()
    keys = ("time_seqs", "time_delta_seqs", "type_seqs", "seq_non_pad_mask")
    prefix = {key: batch[key][:, :100] for key in keys} | {"attention_mask": None}
    model.gen_config.num_step_gen = GENERATED
    with torch.no_grad():
        generating = rounds_of(lambda: model.predict_multi_step_since_last_event(**prefix, forward=True), 3)
    rates = [len(batch["type_seqs"]) * GENERATED / seconds for seconds in generating["seconds"]]
    print(json.dumps(found | {"megabytes": [megabytes], "generated": rates}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "step"])
    parser.add_argument("--data", required=True)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--model", choices=list(MODELS), default="THP", help="with step")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS), help="with train")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    (train if arguments.what == "train" else measure)(arguments)


if __name__ == "__main__":
    main()
