"""Whether the intervals of the forecast curves cover what they say, and curves of some test videos."""

from __future__ import annotations

import polars as pl

from assets.curves.curve_evaluation_picture import draw_coverage, draw_fan, spread_items
from assets.curves.curve_scores import ITEMS, OURS, SCORES, curve_summary
from assets.reports.charts import BLUE, SOFT, as_picture, chart
from assets.reports.document import Items, Paragraph, Picture
from assets.reports.page import PageBlock, Pictures
from assets.reports.report_sections.inputs import stored_table
from assets.settings import Settings
from models.curves.scores import INTERVALS, share_interval
from storage.store import Store

STAGE = "curve_evaluation"
MARGIN = 12  # per cent around the nominal level that an axis shows at least
COUNTS = (0, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 100_000, 1_000_000)  # ticks of a logarithmic axis
LEVEL = 80  # per cent, of the coverage by decile


def calibration(store: Store, settings: Settings) -> list[PageBlock]:
    """Return, per target, coverage by horizon and age for every interval, and by decile of the forecast."""
    scores = stored_table(store, SCORES, stage=STAGE, empty="too few test videos were followed to any horizon")
    ours = scores.filter(row=OURS)
    blocks: list[PageBlock] = [Items(curve_summary(scores))]
    for (target,), own in ours.group_by("target_name", maintain_order=True):
        blocks.append(Pictures([*(_by_horizon(own, target, level) for level in INTERVALS), _by_decile(own, target)]))
    return blocks


def _by_horizon(own: pl.DataFrame, target: str, level: int) -> Picture:
    low, high = (100 * end for end in share_interval(level / 100, own["items"].max()))
    figure, axes = chart(height=3.6)
    axes.axhspan(low, high, color=SOFT, alpha=0.2, linewidth=0, label="exact, by chance")
    draw_coverage(axes, own, level)
    covered = 100 * own[f"coverage_{level}"]
    axes.set(xlabel="horizon after publication", ylabel="test videos covered, %", title="")
    axes.set_ylim(min(level - MARGIN, covered.min()), min(max(level + MARGIN, covered.max()), 100))
    axes.tick_params(labelsize=9)
    figure.legend(loc="outside lower left", ncols=3, title="observed for")
    title = (
        f"{target}: coverage of the {level} % intervals, by horizon and by the age of the video. The grey band holds "
        "95 % of the values of an exact interval."
    )
    return as_picture(figure, title)


def _by_decile(own: pl.DataFrame, target: str) -> Picture:
    figure, axes = chart()
    whole = own.filter(pl.col("age_hours").is_null())
    whole = whole if len(whole) else own
    shares = [list(deciles) for deciles in whole["coverage_80_deciles"]]
    at = range(1, len(shares[0]) + 1)
    means = [100 * sum(column) / len(column) for column in zip(*shares, strict=True)]
    axes.axhline(LEVEL, color=SOFT, linewidth=1)
    for one in shares:
        axes.plot(at, [100 * value for value in one], "o", color=BLUE, markersize=3, alpha=0.4)
    axes.plot(at, means, color=BLUE, marker="o", markersize=6, label="mean over horizons")
    axes.set(xlabel="tenth of the test videos by forecast, lowest first", ylabel="covered, %", xticks=list(at))
    figure.legend(loc="outside lower left")
    title = f"{target}: coverage of the {LEVEL} % interval by decile of the predicted median. Small dots are single horizons."
    return as_picture(figure, title)


def fans(store: Store, settings: Settings) -> list[PageBlock]:
    """Return curves of test videos, from the lowest to the highest count, at the youngest age."""
    items = stored_table(store, ITEMS, stage=STAGE)
    first = items.head(1).select("target_name", "age_hours")
    own = items.join(first, on=["target_name", "age_hours"], nulls_equal=True, maintain_order="left")
    age, target = first["age_hours"][0], first["target_name"][0]
    seen = "with their whole window observed" if age is None else f"as they were after {age:g} h"
    text = (
        f"Six test videos, spread evenly between the lowest and the highest count, {seen}. Bands hold 50, 80 and 90 % of the "
        "probability, the line is the median, and the dots are what happened."
    )
    return [Paragraph(text), Pictures([fan_picture(own, item, target) for item in spread_items(own)])]


def fan_picture(own: pl.DataFrame, item: str, target: str, title: str = "") -> Picture:
    """Return the fan chart of one test video.

    Args:
        own: Rows of `curve_items` of one target and age.
        item: The video.
        target: Name of the target.
        title: Caption; by default the video's id.
    """
    figure, axes = chart(height=2.8)
    draw_fan(axes, own.filter(item=item))
    top = axes.get_ylim()[1]
    shown = [count for count in COUNTS if count <= top]
    axes.set_yticks(shown, [f"{count:,}" for count in shown])
    axes.minorticks_off()
    axes.tick_params(labelsize=9)
    axes.set(xlabel="time after publication", ylabel=f"{target.split('@')[0]} count")
    return as_picture(figure, title or f"video {item[:40]}")
