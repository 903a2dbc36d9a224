"""Training speed and memory of the networks of `models.predictor_table`, on random features of MicroLens-100k's size.

    python -m tests.benchmarks.predictor_training [--models m3tr ...] [--device cpu | cuda] [--videos 2000] [--preset paper]

Per model: training videos per second (a pass with its batches, without validation), milliseconds per step, parameters,
and the peak memory of the fit above what the features take: of the process, or of the GPU with `--device cuda`. The
first pass is not counted. The features of a video are 10 frames and 10 sounds of width 768, 12 words of width 1024, and
64 temporal rows of width 64; each video has 10 neighbours, and a tenth as many authors as videos post in one month.
Numbers do not depend on what the features mean.
"""

from __future__ import annotations

import argparse
import json
import statistics

import numpy as np
import torch

from models.predictor_table import CLASSES, predictor_class
from models.predictors import Bank, EarlierPosts, Neighbourhood, PublishedPosts, Rows, Samples, VideoFeatures
from models.predictors.content_components import mean_rows
from models.predictors.neural_predictor import NeuralPredictor
from models.predictors.own_options import build_options
from models.predictors.training_options import TrainingOptions
from tests.benchmarks.peak_memory import PeakMemory

SHAPES = {"visual": (10, 768), "acoustic": (10, 768), "text": (12, 1024), "temporal": (64, 64)}
NEIGHBOURS = 10


def random_inputs(videos: int) -> tuple[Samples, Bank]:
    """Return windows of `videos` training videos and the bank of the same videos."""
    random = np.random.default_rng(0)
    rows = {
        name: Rows(
            random.standard_normal((videos, *shape), np.float32).astype(np.float16), np.ones((videos, shape[0]), bool)
        )
        for name, shape in SHAPES.items()
    }
    features, shape = VideoFeatures(**rows), (videos, NEIGHBOURS)
    index = (np.arange(videos)[:, None] + random.integers(1, videos, shape)) % videos
    label = random.standard_normal((*shape, 1)).astype(np.float32)
    found = Neighbourhood(index, random.random(shape).astype(np.float32), np.ones(shape, bool), label)
    items, target = np.arange(videos).astype(str), random.standard_normal((videos, 1))
    posts = EarlierPosts(random_posts(features, random), np.arange(videos))
    return Samples(items, features, found, target, posts=posts), Bank(items, features)


def random_posts(features: VideoFeatures, random: np.random.Generator) -> PublishedPosts:
    """Return the videos as posts of one month by a tenth as many authors, with categories of two levels."""
    count, names = len(features), ("visual", "text")
    levels = [random.integers(0, size, count) for size in (11, 78)]
    return PublishedPosts(
        time=np.sort(random.uniform(0.0, 720.0, count)),
        content={name: mean_rows(getattr(features, name), dtype=np.float32) for name in names},
        calendar=np.column_stack([np.ones(count, int), random.integers(1, 31, count), random.integers(0, 24, count)]),
        author=random.integers(0, count // 10, count),
        authors=tuple(map(str, range(count // 10))),
        category=np.column_stack(levels),
        categories=tuple(tuple(map(str, range(1, size))) for size in (11, 78)),
    )


def measure(name: str, samples: Samples, bank: Bank, arguments: argparse.Namespace) -> dict[str, float]:
    """Return the figures of one model."""
    made = predictor_class(name)
    given = {**(made.paper if arguments.preset == "paper" else {}), **json.loads(arguments.options)}
    config, options = build_options({**given, "epochs": arguments.passes + 1}, made.config_class, TrainingOptions)
    predictor, cuda = made(config, options), arguments.device.startswith("cuda")
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    memory = PeakMemory()
    report = predictor.fit(samples, None, bank, seed=0, device=arguments.device)
    seconds = statistics.median(epoch.seconds for epoch in report.epochs[1:])
    return {
        "videos/s": len(samples) / seconds,
        "ms per step": 1000 * seconds / -(-len(samples) // options.batch_size),
        "parameters": sum(part.numel() for part in predictor.network.parameters()),
        "MB": torch.cuda.max_memory_allocated() / 2**20 if cuda else memory.megabytes(),
    }


def main() -> None:
    """Print a table with a row per model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    networks = [name for name in CLASSES if issubclass(predictor_class(name), NeuralPredictor)]
    parser.add_argument("--models", nargs="+", choices=networks, default=networks)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--videos", type=int, default=2000)
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--preset", choices=["default", "paper"], default="default")
    parser.add_argument("--options", default="{}", help="JSON, hyper-parameters of all models")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    samples, bank = random_inputs(arguments.videos)
    print("| model | videos/s | ms per step | parameters | MB |\n|---|---:|---:|---:|---:|")
    for name in arguments.models:
        if (why := predictor_class(name)().obstacle(samples, bank)) is not None:
            print(f"| {name} | {why} | | | |")
            continue
        found = measure(name, samples, bank, arguments)
        cells = [
            f"{found['videos/s']:,.0f}",
            f"{found['ms per step']:.1f}",
            f"{found['parameters']:,}",
            f"{found['MB']:,.0f}",
        ]
        print("| " + " | ".join([name, *cells]) + " |", flush=True)


if __name__ == "__main__":
    main()
