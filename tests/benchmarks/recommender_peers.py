"""SASRec here beside RecBole's SASRec: the same clicks, the same split, the same metrics, in one run.

    python -m tests.benchmarks.recommender_peers --data ml100k_pairs.csv --recbole PYTHON [--seeds 0,1,2] [--keep FOLDER]

The clicks are the ratings 4 and 5 of MovieLens-100k (`user,item,timestamp,event`, event rating_1 to rating_5). A user's last
click is the test and the one before it the validation; all items are ranked, those of the history too. Ties of time are put in
one order for both. RecBole runs in an interpreter of its own (`pip install recbole==1.2.1`); without --recbole only ours runs.
Both have a learned vector per item, layer norms after each part, the cross-entropy over all items, 2,048 targets per step and a
patience of 10 passes; in a pass each click but a user's first is a target once. Metrics are computed by each side; on the same
ranks both definitions agree for one test click per user. With --keep, a fit that is finished is not repeated by a later call
with the same options.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import torch

from models.recommenders import ItemFeatures, Queries, UserHistories, leave_one_out
from models.recommenders.ranking_metrics import click_metrics, ranks
from models.recommenders.recommender import RecommenderEpoch
from models.recommenders.sasrec import SASRec
from tests.benchmarks.kept_results import kept

OPTIONS = {"ids": True, "loss": "softmax", "norm": "post", "batch_size": 2048, "patience": 10}  # as RecBole


def read_clicks(path: Path) -> UserHistories:
    """Return the clicks of a table of ratings, with strictly rising times per user."""
    frame = pl.read_csv(path, schema_overrides={"user": pl.String, "item": pl.String})
    frame = frame.filter(pl.col("event").is_in(["rating_4", "rating_5"])).sort("user", "timestamp", maintain_order=True)
    frame = frame.with_columns(pl.int_range(pl.len()).over("user").alias("place"))
    users, items = (frame[name].unique().sort().to_list() for name in ("user", "item"))
    user = frame["user"].cast(pl.Enum(users)).to_physical().to_numpy()
    return UserHistories(
        users=np.array(users),
        items=np.array(items),
        start=np.searchsorted(user, np.arange(len(users) + 1)),
        item=frame["item"].cast(pl.Enum(items)).to_physical().to_numpy().astype(np.int32),
        time=frame["place"].to_numpy().astype(np.int64),
        clicked=np.ones(len(frame), bool),
    )


def ours(histories: UserHistories, options: dict[str, object], seed: int, device: str) -> dict[str, float]:
    """Fit SASRec and return its metrics of the test clicks."""
    split, features = leave_one_out(histories), ItemFeatures()
    model = SASRec.from_options(options)
    began = time.process_time()
    report = model.fit(histories, features, split, seed=seed, device=device, progress=tell)
    used = time.process_time() - began
    scores = model.score(histories, features, Queries.before(histories, split.test), device=device)
    values = click_metrics(ranks(scores, histories.item[split.test])).values
    return {
        "ndcg@10": values["NDCG@10"],
        "hit@10": values["hit rate@10"],
        "mrr@10": values["MRR@10"],
        "passes": len(report.epochs),
        "best_pass": report.best_epoch,
        "seconds_per_pass": float(np.median([epoch.seconds for epoch in report.epochs])),
        "cpu_seconds_per_pass": used / len(report.epochs),
    }


def tell(epoch: RecommenderEpoch) -> None:
    """Print a line per pass, beside the results."""
    print(f"pass {epoch.number}: loss {epoch.loss:.4f}, NDCG@10 {epoch.dev:.4f}", file=sys.stderr, flush=True)


def recbole(histories: UserHistories, python: Path, seed: int, options: argparse.Namespace) -> dict[str, float]:
    """Run RecBole's SASRec and return its metrics of the test clicks."""
    with TemporaryDirectory() as folder:
        inter = Path(folder) / "clicks" / "clicks.inter"
        inter.parent.mkdir()
        user = np.repeat(histories.users, np.diff(histories.start))
        rows = zip(user, histories.items[histories.item], histories.time, strict=True)
        lines = ["user_id:token\titem_id:token\ttimestamp:float", *("\t".join(map(str, row)) for row in rows)]
        inter.write_text("\n".join(lines) + "\n")
        command = [python, Path(__file__).with_name("recbole_peer.py"), "--inter", inter, "--epochs", options.epochs]
        command += ["--seed", seed, "--threads", options.threads, "--device", options.device]
        done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True, check=True, cwd=folder)
    print(done.stdout, file=sys.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Run both and print a line per seed and the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="table of ratings")
    parser.add_argument("--recbole", type=Path, help="interpreter that has RecBole")
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--keep", type=Path, help="folder for the results of finished fits")
    parser.add_argument("--options", type=json.loads, default={}, help="further options of ours, as JSON")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    histories = read_clicks(options.data)
    print(f"{len(histories)} users, {len(histories.items)} items, {len(histories.item)} clicks")
    results: dict[str, list[dict[str, float]]] = {}
    for seed in map(int, options.seeds.split(",")):
        own = {**OPTIONS, "epochs": options.epochs, **options.options}
        fits = {"ours": ([SASRec.code, own], lambda own=own, seed=seed: ours(histories, own, seed, options.device))}
        if options.recbole is not None:
            fits["RecBole"] = ([], lambda seed=seed: recbole(histories, options.recbole, seed, options))
        for name, (key, fit) in fits.items():
            key = [name, key, seed, options.epochs, options.threads, options.device]
            results.setdefault(name, []).append(kept(options.keep, key, fit))
        for name, rows in results.items():
            print(f"{name}, seed {seed}: {json.dumps(rows[-1])}", flush=True)
    for name, rows in results.items():
        means = {
            metric: round(float(np.mean([row[metric] for row in rows])), 4)
            for metric in rows[0]
            if metric in results["ours"][0]
        }
        print(f"{name}, mean: {json.dumps(means)}")


if __name__ == "__main__":
    main()
