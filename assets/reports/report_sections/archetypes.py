"""Archetypes of popularity: the shapes in which the counts of test videos grow (M3TR figure 2 and appendix M.2)."""

from __future__ import annotations

import numpy as np
import polars as pl

from assets.curves.curve_scores import ITEMS
from assets.engine.nothing_to_show import NothingToShow
from assets.reports.charts import as_picture, chart
from assets.reports.document import Paragraph
from assets.reports.page import PageBlock, Pictures
from assets.reports.report_sections.calibration import STAGE, fan_picture
from assets.reports.report_sections.inputs import stored_table
from assets.settings import Settings
from assets.settings.target import horizon_name
from storage.store import Store

ARCHETYPES = 4
FEWEST_ITEMS = 40
FEWEST_COUNTS = 5  # of a video; fewer have no shape
FOLLOWED = 0.8  # share of the videos that must have been followed to the last horizon
LETTERS = "ABCD"


def archetypes(store: Store, settings: Settings) -> list[PageBlock]:
    """Return four groups of test videos by the shape of their growth, and one video of each with its forecast."""
    items = stored_table(store, ITEMS, stage=STAGE)
    first = items.head(1).select("target_name", "age_hours")
    own = items.join(first, on=["target_name", "age_hours"], nulls_equal=True, maintain_order="left")
    names, horizons, shares = growth_shapes(own)
    group, centres = shape_groups(shares)
    target, age = first.row(0)
    figure, axes = chart(height=4.2)
    at, pictures = range(len(horizons)), []
    for place, centre in enumerate(centres):
        members = np.flatnonzero(group == place)
        middle = members[np.argmin(((shares[members] - centre) ** 2).sum(1))]
        half = horizon_name(horizons[int(np.argmax(centre >= 0.5))])
        title = f"{LETTERS[place]}: {100 * len(members) / len(names):.0f} % of the videos, half of the count by {half}"
        axes.plot(at, 100 * centre, marker="o", markersize=4, label=title)
        caption = f"{title}. Video {names[middle][:40]}, the nearest to the group's mean."
        pictures.append(fan_picture(own, names[middle], target, caption))
    end = horizon_name(horizons[-1])
    axes.set_xticks(at, [horizon_name(hours) for hours in horizons])
    axes.set(xlabel="time after publication", ylabel=f"share of the count at {end}, %", ylim=(0, 105))
    figure.legend(loc="outside lower left")
    seen = "their whole window" if age is None else f"{age:g} h"
    text = (
        f"{len(names)} test videos with a {target.split('@')[0]} count of at least {FEWEST_COUNTS} at {end}, grouped by the "
        f"share of that count at each horizon (k-means). One video of each group is shown with its forecast after {seen}: "
        "bands of 50, 80 and 90 %, the median, and the truth as dots."
    )
    shape = as_picture(figure, "Mean growth of each group.")
    return [Paragraph(text), Pictures([shape, *pictures])]


def growth_shapes(own: pl.DataFrame) -> tuple[list[str], list[float], np.ndarray]:
    """Return the videos that were followed long enough, the finite horizons (H,), and their shares of the last count (n, H).

    The last horizon is the latest one to which 80 % of the videos were followed.

    Args:
        own: Rows of `curve_items` of one target and age.

    Raises:
        NothingToShow: Fewer than 40 videos have a shape.
    """
    finite = own.filter(pl.col("horizon_hours").is_finite()).sort("horizon_hours")
    known = finite.filter(pl.col("observed").is_not_null())
    followed = known.group_by("horizon_hours").agg(pl.col("item").n_unique()).sort("horizon_hours")
    enough = followed.filter(pl.col("item") >= FOLLOWED * own["item"].n_unique())["horizon_hours"].to_list()
    wide = (
        known.filter(pl.col("horizon_hours").is_in(enough))
        .pivot("horizon_hours", index="item", values="observed")
        .drop_nulls()
    )
    counts = wide.drop("item").to_numpy().reshape(len(wide), -1)
    shaped = counts[:, -1] >= FEWEST_COUNTS if counts.size else np.zeros(len(counts), bool)
    if shaped.sum() < FEWEST_ITEMS:
        raise NothingToShow(
            f"{shaped.sum()} test videos have a shape of growth; {FEWEST_ITEMS} are needed to tell archetypes apart"
        )
    names = wide["item"].filter(pl.Series(shaped)).to_list()
    return names, enough, counts[shaped] / counts[shaped, -1:]


def shape_groups(shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the group of each shape (n,) and the mean shapes (4, H), the fastest first.

    Args:
        shares: (n, H) shares of the last count.
    """
    from scipy.cluster.vq import kmeans2

    centres, group = kmeans2(shares, ARCHETYPES, minit="++", rng=0)
    order = np.argsort(-centres.sum(1), kind="stable")
    return np.argsort(order)[group], centres[order]
