"""A forecast in a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from pipeline.predicting.video_forecast import VideoForecast
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


def show_line(console: Console, forecast: VideoForecast) -> None:
    """Print one line for one video."""
    counts = ", ".join(f"{one.target} {one.count:,.0f}" for one in forecast.forecasts)
    console.print(f"{forecast.item}: {counts}", markup=False, highlight=False, soft_wrap=True)
