"""How a comparison of forecasts is printed."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console

from pipeline.commands.declaration import print_json

if TYPE_CHECKING:
    import polars as pl

    from assets.monitoring.version_comparison import Comparison


def show_trial(
    pairs: pl.DataFrame, comparisons: list[Comparison], *, names: tuple[str, str], as_json: bool = False
) -> None:
    """Print the comparison of every target.

    Args:
        pairs: Both forecasts of every item, which `--json` prints too.
        comparisons: One per target.
        names: What made the first and the second forecasts.
        as_json: Print one JSON object instead.
    """
    if as_json:
        print_json({"targets": [asdict(one) for one in comparisons], "forecasts": pairs.to_dicts()})
        return
    text = "\n\n".join("\n".join(_lines(one, names)) for one in comparisons)
    Console().print(text or "no item is forecast by both", markup=False, highlight=False, soft_wrap=True)


def _lines(one: Comparison, names: tuple[str, str]) -> list[str]:
    lines = [
        f"{one.target_name}: {one.items:,} items. From {names[0]} to {names[1]}, forecasts move by {one.mean_change:.4f} on "
        f"average, {one.mean_difference:+.4f} with the sign, on the target's scale."
    ]
    if one.errors:
        lines.append(f"Errors of the {one.labelled:,} items with a label, second minus first with a 95 % interval:")
    for metric, (first, second, gap) in one.errors.items():
        lines.append(f"  {metric:5s} {first:.4f} and {second:.4f}: {gap.value:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]")
    if one.most_moved:
        lines.append("Largest moves, as counts:")
        lines += [f"  {item}: {first:,.1f} -> {second:,.1f}" for item, first, second in one.most_moved]
    return lines
