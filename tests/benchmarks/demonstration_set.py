"""How predictable the demonstration set is: `python -m tests.benchmarks.demonstration_set FOLDER`.

The benchmark prints the shape of the feedback by archetype, and the share of the variance of log2(1 + comments in seven
days) that each group of inputs explains: R^2 of linear regressions over five folds of the labelled videos, each fold
predicted from the four others. With `--figure PNG` it draws the cumulative events of each archetype.
"""

import argparse
import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise, product
from pathlib import Path

import av
import matplotlib
import numpy as np
import polars as pl

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from pipeline.demonstration import plan

FOLDS = 5
PENALTIES = 10.0 ** np.arange(-1, 5)
DAY_HOURS = 24


def ridge(x: np.ndarray, y: np.ndarray, penalty: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Fit y (n,) on standardised x (n, d) and a constant by least squares, with a penalty (d,) on squared coefficients."""
    mean, spread = x.mean(0), x.std(0) + 1e-9
    scaled = (x - mean) / spread
    weights = np.linalg.solve(scaled.T @ scaled + np.diag(penalty), scaled.T @ (y - y.mean()))
    return lambda other: (other - mean) / spread @ weights + y.mean()


def explained(y: np.ndarray, *blocks: np.ndarray) -> float:
    """Return R^2 over five folds of y (n,) on blocks (n, d_b). Each block's penalty is chosen within each training part."""
    x = np.hstack(blocks)
    penalties = [
        np.repeat(choice, [block.shape[1] for block in blocks]) for choice in product(PENALTIES, repeat=len(blocks))
    ]
    fold = np.random.default_rng(0).permutation(len(y)) % FOLDS
    predicted = np.empty(len(y))
    for k in range(FOLDS):
        train, test = fold != k, fold == k
        xs, ys, held = x[train], y[train], np.arange(train.sum()) % FOLDS == 0
        errors = [((ridge(xs[~held], ys[~held], p)(xs[held]) - ys[held]) ** 2).mean() for p in penalties]
        predicted[test] = ridge(xs, ys, penalties[int(np.argmin(errors))])(x[test])
    return 1 - ((y - predicted) ** 2).mean() / y.var()


def content(path: Path) -> np.ndarray:
    """Return mean, spread and change of colours on a 3 x 3 grid, and bands of sound; NaN for files that cannot be read."""
    seen, heard = np.full(3 * 9 * 3, np.nan), np.full(2 * 24 + 1, np.nan)
    try:
        with av.open(str(path)) as container:
            images = [f.to_ndarray(format="rgb24", width=48, height=48) for f in container.decode(video=0)]
        with av.open(str(path)) as container:
            if container.streams.audio:
                sound = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
                heard = sound_bands(sound)
    except (av.FFmpegError, FileNotFoundError):
        return np.concatenate([seen, heard])
    cells = np.stack(images).astype(float).reshape(-1, 3, 16, 3, 16, 3)  # (frames, row, y, column, x, rgb)
    means = cells.mean(axis=(2, 4))
    moved = np.abs(np.diff(cells, axis=0)).mean(axis=(0, 2, 4))
    seen = np.concatenate([means.mean(0).ravel(), cells.std(axis=(2, 4)).mean(0).ravel(), moved.ravel()])
    return np.concatenate([seen, heard])


def sound_bands(sound: np.ndarray, rate: int = 24_000) -> np.ndarray:
    """Return the mean and spread over time of 24 log-spaced log energies, and the loudness."""
    windows = np.lib.stride_tricks.sliding_window_view(sound, 1024)[::512] * np.hanning(1024)
    power = np.abs(np.fft.rfft(windows)) ** 2
    edges = np.geomspace(60, rate / 2, 25)
    band = np.digitize(np.fft.rfftfreq(1024, 1 / rate), edges)
    energy = np.stack([np.log1p(power[:, band == b].sum(axis=1)) for b in range(1, 25)], axis=1)
    return np.concatenate([energy.mean(0), energy.std(0), [np.sqrt((sound**2).mean())]])


def words(titles: list[str]) -> np.ndarray:
    """Return (n, words) bool: which words a title contains, of the words that occur in at least five titles."""
    sets = [set(re.findall(r"[a-z]+", title.lower())) for title in titles]
    counts = Counter(word for found in sets for word in found)
    vocabulary = sorted(word for word, count in counts.items() if count >= 5)
    return np.array([[word in found for word in vocabulary] for found in sets], dtype=float)


def early(pairs: pl.DataFrame, items: pl.Series) -> np.ndarray:
    """Return log counts of the first day by type, and log counts in each of its six windows of four hours."""
    day = pairs.filter(pl.col("hour") < DAY_HOURS)
    edges = [0, 1, 3, 6, 10, 16, 24]
    counts = [day.filter(pl.col("event") == name) for name in ("like", "comment", "share")]
    counts += [day.filter(pl.col("hour").is_between(a, b, closed="left")) for a, b in pairwise(edges)]
    frame = pl.DataFrame({"item": items})
    columns = [frame.join(c.group_by("item").len(), on="item", how="left")["len"].fill_null(0) for c in counts]
    return np.log2(1 + np.column_stack(columns))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--figure", type=Path, help="PNG of the cumulative curves")
    given = parser.parse_args()
    truth = pl.read_csv(given.folder / "truth" / "videos.csv").filter("seven_days_over")
    pairs = pl.read_csv(given.folder / "demo_pairs.csv").unique().join(truth.select("item", "published_at"), on="item")
    pairs = pairs.with_columns(hour=(pl.col("timestamp") - pl.col("published_at")) / plan.HOUR)

    y = np.log2(1 + truth["comments_7d"].to_numpy())
    seen = np.log2(1 + truth["events_24h"].to_numpy())[:, None]
    quantiles = (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)
    for name in ("events_24h", "comments_7d"):
        print(f"{name:12s}", "  ".join(f"{q:.0%}: {truth[name].quantile(q, 'nearest'):.0f}" for q in quantiles))
    print(f"\n{'archetype':18s} videos  median events 24 h  median comments 7 d  events 7 d / 24 h (medians' ratio)")
    for name in plan.ARCHETYPES:
        rows = truth.filter(pl.col("archetype") == name)
        week = pairs.filter(pl.col("item").is_in(rows["item"].implode()), pl.col("hour") < 168).group_by("item").len()
        growth = week["len"].median() / max(rows["events_24h"].median(), 1)
        print(
            f"{name:18s} {len(rows):6d}  {rows['events_24h'].median():18.0f}"
            f"  {rows['comments_7d'].median():19.0f}  {growth:.1f}"
        )

    one_hot = np.eye(4)[[plan.ARCHETYPES.index(name) for name in truth["archetype"]]]
    appeal = truth["appeal"].to_numpy()[:, None]
    features = np.stack([content(given.folder / "demo_videos" / f"{i}.mp4") for i in truth["item"]])
    missing = np.isnan(features)
    features = np.where(missing, np.nanmean(features, axis=0), features)
    lines = (given.folder / "demo_title_en.csv").read_text(encoding="utf-8-sig").splitlines()
    title_of = {int(item): title for item, _, title in (line.partition(",") for line in lines)}
    features = np.hstack([features, words([title_of[item] for item in truth["item"]])])
    first_day = early(pairs, truth["item"])
    style = truth.select(list(plan.STYLE_LOGITS)).to_numpy()
    category = np.eye(len(plan.CATEGORIES))[[list(plan.CATEGORIES).index(name) for name in truth["category"]]]
    print("\nR^2 of log2(1 + comments in seven days), five folds")
    for name, blocks in {
        "content (frames, sound, words)": (features,),
        "log count of the first day": (seen,),
        "first day by type and window": (first_day,),
        "first day by type and window, content": (first_day, features),
        "oracle: category, style": (category, style),
        "oracle: first day, category, style": (first_day, category, style),
        "oracle: archetype x log count": (np.hstack([one_hot, one_hot * seen]),),
        "oracle: archetype x log count, appeal": (np.hstack([one_hot, one_hot * seen, appeal]),),
    }.items():
        print(f"  {name:40s} {explained(y, *blocks):.3f}")
    for name in [*plan.STYLE_LOGITS, "appeal"]:
        print(f"  content -> {name:29s} {explained(truth[name].to_numpy(), features):.3f}")
    if given.figure:
        draw(truth, pairs, given.figure)


def draw(truth: pl.DataFrame, pairs: pl.DataFrame, path: Path) -> None:
    """Draw the cumulative events of 25 videos per archetype over seven days, as shares of their totals."""
    figure, axes = plt.subplots(1, 4, figsize=(14, 3.2), sharey=True, layout="constrained")
    for axis, name in zip(axes, plan.ARCHETYPES, strict=True):
        rows = truth.filter((pl.col("archetype") == name) & (pl.col("events") >= 20))
        for item in rows["item"].head(25):
            hours = np.sort(pairs.filter((pl.col("item") == item) & (pl.col("hour") < 168))["hour"].to_numpy())
            axis.step(hours, np.arange(1, hours.size + 1) / hours.size, where="post", alpha=0.35, lw=0.8, color="C0")
        axis.axvline(DAY_HOURS, color="C3", lw=1, ls=":")
        axis.set(title=name, xlabel="hours since publication", xlim=(0, 168), ylim=(0, 1))
    axes[0].set_ylabel("part of the week's events")
    figure.savefig(path, dpi=80)


if __name__ == "__main__":
    main()
