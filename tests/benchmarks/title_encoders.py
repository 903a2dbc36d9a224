"""How well each text encoder's ten nearest titles predict a title's category and its count of events.

    python -m tests.benchmarks.title_encoders FOLDER [--splits 20] [--profiles handcrafted light]

FOLDER is a data set with titles and categories (docs/datasets.md). Per encoder it prints the share of titles whose
category is the most frequent one among the ten nearest titles, and the nMSE of their mean log2(1 + events), each as
mean and standard deviation over random 80/20 splits.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter

import numpy as np
import polars as pl

from models import encoders
from models.metrics import nmse
from storage.datasets import open_dataset

NEAREST = 10


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="a data set with titles and categories")
    parser.add_argument("--splits", type=int, default=20, help="random splits (default 20)")
    parser.add_argument("--profiles", nargs="+", default=["handcrafted", "light"], help="text encoders")
    args = parser.parse_args()
    data = open_dataset(args.folder)
    titled = data.videos.filter(pl.col("title").str.strip_chars() != "", pl.col("category").is_not_null())
    titled = titled.join(data.events.group_by("item").len("events"), on="item", how="left")
    categories = titled["category"].to_numpy()
    counts = np.log2(1.0 + titled["events"].fill_null(0).to_numpy())
    _, (most, *_) = zip(*Counter(categories.tolist()).most_common(1), strict=True)
    print(f"{len(titled)} titles, {len(set(categories.tolist()))} categories, the largest {most / len(titled):.3f}")
    for profile in args.profiles:
        started = time.process_time()
        vectors = encoders.load("text", profile).encode_sentences(titled["title"].to_list())
        seconds = time.process_time() - started
        scores = np.array([_scores(vectors, categories, counts, seed) for seed in range(args.splits)])
        (right, error), (right_sd, error_sd) = scores.mean(0), scores.std(0)
        print(
            f"{profile}: category {right:.3f} ± {right_sd:.3f}, nMSE {error:.3f} ± {error_sd:.3f}, {seconds:.2f} s of CPU"
        )


def _scores(vectors: np.ndarray, categories: np.ndarray, counts: np.ndarray, seed: int) -> tuple[float, float]:
    order = np.random.default_rng(seed).permutation(len(vectors))
    test, train = np.split(order, [len(order) // 5])
    nearest = train[np.argsort(-(vectors[test] @ vectors[train].T), axis=1)[:, :NEAREST]]
    named = [Counter(categories[row].tolist()).most_common(1)[0][0] for row in nearest]
    return float(np.mean(named == categories[test])), float(nmse(counts[test], counts[nearest].mean(axis=1)))


if __name__ == "__main__":
    main()
