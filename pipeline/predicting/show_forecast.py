"""A forecast in a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from pipeline.predicting.video_forecast import TargetForecast, VideoForecast
from storage.datasets.clock import tell_moment

SHOWN = 5  # neighbours


def show_forecast(console: Console, forecast: VideoForecast) -> None:
    """Print one forecast: its targets, its neighbours, remarks and the duration of each step."""
    age = "" if forecast.age_hours is None else f", {forecast.age_hours:.1f} h after publication"
    heading = f"{forecast.item}: {forecast.observed_events} events in the window at {tell_moment(forecast.at)}{age}"
    console.print(heading, markup=False, highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for column in ("target", "forecast", "so far", "over seeds", "row"):
        table.add_column(column, justify="left" if column in ("target", "row") else "right")
    for one in forecast.forecasts:
        so_far = "n/a" if one.counted_so_far is None else f"{one.counted_so_far:,}"
        table.add_row(one.target, f"{one.count:,.0f}", so_far, f"{one.lowest:,.0f} to {one.highest:,.0f}", one.row)
    console.print(table)
    for one in forecast.forecasts:
        if one.why is not None:
            console.print(f"{one.target}: {one.why}", markup=False, highlight=False, soft_wrap=True)
        _show_curve(console, one)
    if forecast.neighbours:
        names = [one.target for one in forecast.forecasts]
        table = Table(box=None, pad_edge=False)
        for column in ("similar video", "title", *names, "similarity"):
            table.add_column(column, justify="left" if column in ("similar video", "title") else "right")
        for one in forecast.neighbours[:SHOWN]:
            counts = ["n/a" if one.counts[name] is None else f"{one.counts[name]:,.0f}" for name in names]
            table.add_row(one.item, one.title or "", *counts, f"{one.score:.3f}")
        console.print()
        console.print(table)
    for note in forecast.notes:
        console.print(f"note: {note}", markup=False, highlight=False, soft_wrap=True)
    steps = ", ".join(f"{step} {seconds:.2f} s" for step, seconds in forecast.seconds.items())
    console.print(steps, style="dim", markup=False, highlight=False, soft_wrap=True)


def _show_curve(console: Console, forecast: TargetForecast) -> None:
    """Print the curve: the median and the band that holds 80 of 100 counts, per horizon."""
    if not forecast.curve:
        return
    table = Table(box=None, pad_edge=False)
    table.add_column(f"{forecast.target.split('@')[0]} by")
    for name in ("median", "10 %", "90 %"):
        table.add_column(name, justify="right")
    for point in forecast.curve:
        horizon = "the end of the data" if point.hours is None else f"{point.hours:g} h"
        table.add_row(horizon, *(f"{int(point.quantiles[level]):,}" for level in ("0.5", "0.1", "0.9")))
    console.print()
    console.print(table)


def show_line(console: Console, forecast: VideoForecast) -> None:
    """Print one line for one video."""
    counts = ", ".join(f"{one.target} {one.count:,.0f}" for one in forecast.forecasts)
    console.print(f"{forecast.item}: {counts}", markup=False, highlight=False, soft_wrap=True)
