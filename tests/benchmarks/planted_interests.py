"""MTIN and its baselines on generated exposures with planted interests, time scales and false clicks.

    python -m tests.benchmarks.planted_interests [--models bpr,lstm,mtin] [--seeds 0,1,2,3,4] [--keep FOLDER]

The exposures are those of `tests.models.recommenders.interest_world`: 24 topics, four interests per user, each with a time
scale of its own, and 20 % false clicks. Every seed draws other exposures and other weights. Test exposures are scored four at
a time with all that was shown strictly before the first of them. With --keep, a fit that is finished is not repeated by a later
call with the same options.

Printed per model, as the mean and the 95 % interval over seeds: AUC over all test exposures and NDCG@10 over each user's test
exposures, and the differences to the last model. "planted" is the ranking by the truth, whether an item is of one of the user's
interests, without knowing which of them are active. For MTIN also, of the training clicks in its histories: the adjusted mutual
information between groups and planted interests of the true clicks (clicks in no group count as a group), the same for groups
drawn at random, and the shares of true and of false clicks in no group.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import adjusted_mutual_info_score

from models.metrics import interval
from models.recommender_table import recommender_class
from models.recommenders import Queries
from models.recommenders.click_data import ClickData
from models.recommenders.held_out_metrics import exposure_scores
from models.recommenders.mtin import MTIN
from models.recommenders.ranking_metrics import exposure_metrics
from models.recommenders.recent_exposures import RecentExposures
from tests.benchmarks.kept_results import kept
from tests.models.recommenders.interest_world import InterestWorld, make_world

TOGETHER = 4  # test exposures that share one history
OPTIONS = {"block": 8, "learning_rate": 3e-3, "epochs": 14}


@torch.no_grad()
def groups_against_truth(model: MTIN, world: InterestWorld) -> dict[str, float]:
    """Return how MTIN's groups of training clicks agree with what was planted."""
    histories, train, lengths = world.histories, world.split.train, (model.config.clicks, model.config.skips)
    data, recent = ClickData(histories, world.features, lengths), RecentExposures(histories)
    random, agreement, chance = np.random.default_rng(0), [], []
    filtered, total = np.zeros(2), np.zeros(2)
    for user in range(len(histories)):
        last = histories.time[histories.start[user] + train[user] - 1]
        queries = Queries(np.array([user]), train[[user]], np.array([last]))
        rows = recent.latest(queries, model.config.clicks, clicked=True)
        clicks = rows.rows[rows.mask]
        batch = data.ask(queries, np.zeros((1, 0), np.int64))
        group = model.network.interests(batch).group.numpy()[rows.mask]
        is_false = world.is_false[clicks]
        filtered += [(group[~is_false] < 0).sum(), (group[is_false] < 0).sum()]
        total += [(~is_false).sum(), is_false.sum()]
        truth, own = world.interest[clicks[~is_false]], group[~is_false]
        agreement.append(adjusted_mutual_info_score(truth, own))
        chance.append(adjusted_mutual_info_score(truth, random.permutation(own)))
    return {
        "AMI": float(np.mean(agreement)),
        "AMI of shuffled groups": float(np.mean(chance)),
        "true clicks filtered": filtered[0] / total[0],
        "false clicks filtered": filtered[1] / total[1],
    }


def metrics(world: InterestWorld, scores: np.ndarray) -> dict[str, float]:
    """Return the metrics of scores of the test exposures."""
    test = world.split.test
    user = np.searchsorted(world.histories.start, test, side="right") - 1
    values = exposure_metrics(user, scores, world.histories.clicked[test], ks=(10,)).values
    return {"AUC": values["AUC global"], "NDCG@10": values["NDCG@10"]}


def measure(name: str, options: dict[str, object], world: InterestWorld, seed: int) -> dict[str, float]:
    """Fit a model and return its figures."""
    model = recommender_class(name).from_options(options)
    report = model.fit(world.histories, world.features, world.split, seed=seed)
    figures = metrics(
        world, exposure_scores(model, world.histories, world.features, world.split.test, at_once=TOGETHER)
    )
    figures |= {"s": report.seconds, "best pass": report.best_epoch}
    return figures | (groups_against_truth(model, world) if isinstance(model, MTIN) else {})


def with_interval(values: list[float]) -> str:
    """Return a mean with its interval."""
    found = interval(values)
    return f"{found.value:.4f} [{found.low:.4f}, {found.high:.4f}]"


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="bpr,lstm,mtin")
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--exposures", type=int, default=120)
    parser.add_argument("--options", type=json.loads, default={}, help="JSON: hyper-parameters per model")
    parser.add_argument("--keep", type=Path, help="folder for the results of finished fits")
    args = parser.parse_args()
    names, found = args.models.split(","), defaultdict(lambda: defaultdict(list))
    for seed in map(int, args.seeds.split(",")):
        world = make_world(users=args.users, exposures=args.exposures, seed=seed)
        for name in ("planted", *names):
            if name == "planted":
                figures = metrics(world, (world.interest[world.split.test] >= 0).astype(float))
            else:
                options = OPTIONS | args.options.get(name, {})
                key = [name, recommender_class(name).code, options, args.users, args.exposures, seed]
                figures = kept(args.keep, key, partial(measure, name, options, world, seed))
            print(
                f"seed {seed}, {name}: " + ", ".join(f"{key} {value:.4f}" for key, value in figures.items()), flush=True
            )
            for key, value in figures.items():
                found[name][key].append(value)
    last = names[-1]
    for name in ("planted", *names):
        print(f"\n{name}")
        for key, values in found[name].items():
            line = f"  {key}: {with_interval(values)}"
            if key in ("AUC", "NDCG@10") and name != last:
                line += f"; {last} ahead by {with_interval(np.subtract(found[last][key], values))}"
            print(line)


if __name__ == "__main__":
    main()
