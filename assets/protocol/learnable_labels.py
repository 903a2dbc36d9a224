"""Checks of the labels that stop a useless run before any encoder has run."""

from __future__ import annotations

import numpy as np
import polars as pl

from assets.engine.user_errors import UserError
from assets.protocol.labels import observable_at
from assets.protocol.observation import Labels
from assets.protocol.target import ALL, HOUR_MS, MeasuredTarget
from assets.settings import Protocol
from assets.settings.target import END, Target
from storage.datasets.clock import tell_moment
from storage.splits import chronological

LEAST_LABELS = 10
# fewest items that each side of a split may have
LEAST_ITEMS = {"train": 4, "val": 1, "test": 2}


class TooFewLabels(UserError):
    """The protocol leaves too few labelled items to train, validate and test."""


class NothingToLearn(UserError):
    """All labels are equal, or no observation window holds anything to learn from."""


def check_learnable(labels: Labels, events: pl.DataFrame, counters: pl.DataFrame, protocol: Protocol) -> None:
    """Refuse labels from which nothing can be learned.

    Args:
        labels: Result of `observation.measure_popularity`.
        events: All events: `item`, `type`, `time` (ms).
        counters: All counters: `item`, `metric`, `time` (ms; null for a final count), `value`.
        protocol: Section `[protocol]` of the settings.

    Raises:
        TooFewLabels: Too few items have the label of a target, or a chronological split leaves one side too few. The message
            says how long the items were followed, and which settings would leave more.
        NothingToLearn: No labelled item has feedback in its window, every window ends at t = 0, or all labels of a target are
            equal.
    """
    known = labels.by_target.filter("known")
    sizes = dict(known.group_by("target").len().iter_rows())
    for target in labels.targets:
        if (size := sizes.get(target.name, 0)) < LEAST_LABELS:
            raise TooFewLabels(
                f"{target.name}: {size} of {len(labels.frame)} items have a complete window and a known label; at least "
                f"{LEAST_LABELS} are needed. {_remedy(target, labels, events, counters, protocol)}"
            )
    frame = labels.frame.filter("labelled")
    if not protocol.forecasts_at_publication:
        _refuse_empty_windows(frame, events, counters, protocol)
    for target in labels.targets:
        counts = known.filter(pl.col("target") == target.name)["count"]
        if counts.n_unique() == 1:
            what = (
                target.metric
                if target.source == "counter"
                else "events"
                if target.metric == ALL
                else f"{target.metric} events"
            )
            metrics = [ALL, *events["type"].unique().sort()] if len(events) else []
            metrics += sorted(set(counters["metric"]) - set(metrics))
            raise NothingToLearn(
                f"all {len(counts)} labels are equal, {counts[0]:g} {what}: there is nothing to learn. Forecast another metric "
                f"({_setting(protocol, 'label_event')}; {', '.join(metrics)} are allowed) or up to another horizon "
                f"({_setting(protocol, 'horizon_hours')})"
            )
    if protocol.split == "chronological":
        _refuse_small_sides(frame, labels, protocol)


def _setting(protocol: Protocol, name: str) -> str:
    """Return the setting that a person changes: `protocol.targets` if it is used, else the one named."""
    return "protocol.targets" if protocol.targets else f"protocol.{name}"


def _refuse_empty_windows(
    frame: pl.DataFrame, events: pl.DataFrame, counters: pl.DataFrame, protocol: Protocol
) -> None:
    snapshots = counters.join(frame.select("item", "observed_until"), on="item")
    if not frame["observed_events"].sum() and not (snapshots["time"] <= snapshots["observed_until"]).any():
        window = f"hours = {protocol.hours:g}" if protocol.first_k is None else f"first_k = {protocol.first_k}"
        raise NothingToLearn(
            f"none of {len(frame)} labelled items has feedback in its observation window (protocol.{window}). "
            f"{_first_feedback(frame, events, counters)} protocol.hours = 0 forecasts at publication, without feedback"
        )
    if (frame["observed_until"] == frame["t0"]).all():
        raise NothingToLearn(
            "every labelled item's observation window ends at t = 0, with its first event: there is no time between events; "
            "raise protocol.first_k, or observe hours"
        )


def _refuse_small_sides(frame: pl.DataFrame, labels: Labels, protocol: Protocol) -> None:
    sides = chronological(
        frame["item"].to_list(),
        frame["t0"],
        np.arange(len(frame)),
        label_times=frame.select(observable_at()).to_series(),
        fractions=protocol.fractions,
    )
    sizes = dict(sides["split"].value_counts().iter_rows())
    for side, least in LEAST_ITEMS.items():
        if sizes.get(side, 0) < least:
            raise TooFewLabels(
                f"split = 'chronological' leaves the {side} split {sizes.get(side, 0)} of {len(frame)} labelled items; at "
                f"least {least} are needed. {sizes.get('gap', 0)} have labels that were not known when the first test item was "
                f"published. {describe_followed(labels)} {_shorter(labels, protocol)}"
            )


def _shorter(labels: Labels, protocol: Protocol) -> str:
    if not protocol.targets:
        return "A shorter protocol.horizon_hours leaves more"
    to_the_end = [target.name for target in labels.targets if target.hours is None]
    if to_the_end:
        return f"The label of {', '.join(to_the_end)} is known only at the end; a target with a horizon leaves more"
    return "Shorter horizons in protocol.targets leave more"


def describe_followed(labels: Labels) -> str:
    """Say in a sentence or two when the data end and how long the items were followed."""
    if labels.as_of is None:
        return "No time is known of any item: the data hold final counts only."
    hours = _followed_hours(labels)
    end = f"The data end at {tell_moment(labels.as_of)}."
    if not len(hours):
        return f"{end} No item has a publication, an event or a snapshot before that."
    return (
        f"{end} {len(hours)} items were followed for {hours.min() / 24:.1f} to {hours.max() / 24:.1f} days after t = 0, half "
        f"of them for {np.median(hours) / 24:.1f} or more."
    )


def _followed_hours(labels: Labels) -> np.ndarray:
    """Return the hours from t = 0 to the end of the data, (n,), of the n items with t = 0 before that end."""
    begun = labels.frame.filter(pl.col("t0") <= labels.as_of)
    return (labels.as_of - begun["t0"].to_numpy()) / HOUR_MS


def _remedy(
    target: MeasuredTarget, labels: Labels, events: pl.DataFrame, counters: pl.DataFrame, protocol: Protocol
) -> str:
    """Say which setting would leave enough labels."""
    sentences = [describe_followed(labels)]
    if target.source == "counter":
        sentences.append(_describe_snapshots(target, labels, counters))
    elif target.hours is not None:
        # a horizon equal to the count-th longest time leaves `count` items labelled
        longest = np.sort(_followed_hours(labels))[::-1]
        counts = sorted({LEAST_LABELS, len(longest) // 2} - set(range(LEAST_LABELS)))
        choices = [(np.floor(longest[count - 1] * 10) / 10, count) for count in counts if count <= len(longest)]
        least = protocol.hours if protocol.first_k is None else 0.0
        sentences += [
            f"{_horizon_setting(target, hours, protocol)} would follow {count} to the end."
            for hours, count in choices
            if hours > least
        ]
        if len(sentences) == 1:
            sentences.append(
                "Too few are followed for longer than protocol.hours: shorten both, or take data of a longer time."
            )
    if protocol.first_k is not None and len(events):
        sizes = np.sort(events["item"].value_counts()["count"].to_numpy())[::-1]
        tenth = f", the tenth {sizes[LEAST_LABELS - 1]}" if len(sizes) >= LEAST_LABELS else ""
        sentences.append(f"The item with most events has {sizes[0]}{tenth}; protocol.first_k is {protocol.first_k}.")
    return " ".join(sentences)


def _horizon_setting(target: MeasuredTarget, hours: float, protocol: Protocol) -> str:
    if protocol.targets:
        return f"The target {Target(target.metric, hours).name}"
    return f"protocol.horizon_hours = {hours:g}"


def _describe_snapshots(target: MeasuredTarget, labels: Labels, counters: pl.DataFrame) -> str:
    """Say at which ages the target's counter was read."""
    own = counters.filter(pl.col("metric") == target.metric).join(labels.frame.select("item", "t0"), on="item")
    final = own.filter(pl.col("time").is_null())["item"].n_unique()
    days = pl.col("time").sub("t0") / HOUR_MS / 24
    ages = own.group_by("item").agg(days.min().alias("first"), days.max().alias("last")).drop_nulls()
    sentences = []
    if final:
        sentences.append(
            f"{final} items have a final count of {target.metric} without a time: a label of {target.metric}@{END} only."
        )
    if len(ages):
        sentences.append(
            f"{len(ages)} items have snapshots of {target.metric}, half of the first {ages['first'].median():.1f} days after "
            f"t = 0 or later, half of the last {ages['last'].median():.1f} or later. A label needs a snapshot at its "
            f"horizon, or one on each side of it; the label of {target.metric}@{END} is the last snapshot."
        )
    return " ".join(sentences)


def _first_feedback(frame: pl.DataFrame, events: pl.DataFrame, counters: pl.DataFrame) -> str:
    times = pl.concat([events.select("item", "time"), counters.select("item", "time").drop_nulls()])
    firsts = times.group_by("item").agg(pl.col("time").min()).join(frame.select("item", "t0"), on="item")
    if firsts.is_empty():
        return "They have no feedback at all."
    hours = (firsts["time"] - firsts["t0"]).median() / HOUR_MS
    return f"The first event or snapshot of half of them comes {hours:.1f} hours after t = 0 or later; is published_at right?"
