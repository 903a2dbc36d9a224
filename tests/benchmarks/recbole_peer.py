"""RecBole's SASRec, for the benchmark: run by an interpreter that has recbole 1.2.1, not by this project's.

    PYTHON tests/benchmarks/recbole_peer.py --inter FOLDER/NAME/NAME.inter --epochs 300 --seed 0 [--threads 1] [--device cpu]

Everything is RecBole's default for sequential models (leave-one-out by time, full ranking, cross-entropy over all items, at
most 300 passes, patience 10 on MRR@10). With --steps N only N steps are taken, to see what a pass costs. The names that NumPy 2
removed are put back first, because 1.2.1 still uses them. The last line printed is JSON.
"""

import argparse
import json
import time
from itertools import islice
from pathlib import Path

import numpy as np
import torch

for name, kind in (("bool", bool), ("float", float), ("int", int), ("object", object), ("long", int)):
    if name not in np.__dict__:
        setattr(np, name, kind)
for name, kind in (("float_", np.float64), ("complex_", np.complex128), ("unicode_", np.str_), ("bool8", np.bool_)):
    if not hasattr(np, name):
        setattr(np, name, kind)

from recbole.config import Config  # noqa: E402 - after the names are back
from recbole.data import create_dataset, data_preparation  # noqa: E402
from recbole.model.sequential_recommender import SASRec  # noqa: E402
from recbole.trainer import Trainer  # noqa: E402
from recbole.utils import init_seed  # noqa: E402


def main() -> None:
    """Train, test, and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inter", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--steps", type=int, help="measure this many steps, and do not train on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    config = Config(
        model="SASRec",
        dataset=options.inter.stem,
        config_dict={
            "data_path": str(options.inter.parents[1]),
            "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
            "epochs": options.epochs,
            "train_neg_sample_args": None,
            "metrics": ["NDCG", "Hit", "MRR"],
            "topk": [10],
            "valid_metric": "MRR@10",
            "seed": options.seed,
            "show_progress": False,
            "use_gpu": options.device == "cuda",
            "worker": 0,
        },
    )
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    train, dev, test = data_preparation(config, dataset)
    model = SASRec(config, train.dataset).to(config["device"])
    trainer = Trainer(config, model)
    if options.steps is not None:
        steps, began = list(islice(train, options.steps)), time.process_time()
        trainer._train_epoch(steps, 0, show_progress=False)
        each = (time.process_time() - began) / len(steps)
        print(json.dumps({"steps_per_pass": len(train), "cpu_seconds_per_pass": each * len(train)}))
        return
    passes, losses = [], []
    best, best_weights, best_pass = -1.0, None, 0
    for number in range(options.epochs):
        started = time.perf_counter()
        losses.append(float(trainer._train_epoch(train, number, show_progress=False)))
        passes.append(time.perf_counter() - started)
        value = trainer._valid_epoch(dev, show_progress=False)[0]
        print(f"pass {number + 1}: loss {losses[-1]:.4f}, MRR@10 {value:.4f}, {passes[-1]:.1f} s", flush=True)
        if value > best:
            best, best_pass = value, number
            best_weights = {name: weights.clone() for name, weights in model.state_dict().items()}
        elif number - best_pass >= config["stopping_step"]:
            break
    model.load_state_dict(best_weights)
    result = {name: float(value) for name, value in trainer.evaluate(test, load_best_model=False).items()}
    print(
        json.dumps(
            {**result, "passes": len(passes), "best_pass": best_pass + 1, "seconds_per_pass": float(np.median(passes))}
        )
    )


if __name__ == "__main__":
    main()
