"""Checks of the labels that stop a useless run before any encoder has run."""

from __future__ import annotations

import numpy as np
import polars as pl

from assets.protocol.observation import HOUR_MS, Labels
from assets.settings import Protocol
from storage.datasets.clock import tell_moment
from storage.splits import chronological

LEAST_LABELS = 10
# fewest items that each side of a split may have
LEAST_ITEMS = {"train": 4, "val": 1, "test": 2}


class TooFewLabels(RuntimeError):
    """The protocol leaves too few labelled items to train, validate and test."""


class NothingToLearn(RuntimeError):
    """All labels are equal, or no observation window holds anything to learn from."""


def check_learnable(labels: Labels, events: pl.DataFrame, protocol: Protocol) -> None:
    """Refuse labels from which nothing can be learned.

    Args:
        labels: Result of `observation.measure_popularity`.
        events: All events: `item`, `type`, `time` (ms).
        protocol: Section `[protocol]` of the settings.

    Raises:
        TooFewLabels: Too few items are labelled, or a chronological split leaves one side too few. The message says how
            long the items were followed, and which settings would leave more.
        NothingToLearn: No labelled item has feedback in its window, every window ends at t = 0, or all labels are equal.
    """
    frame = labels.frame.filter("labelled")
    if len(frame) < LEAST_LABELS:
        raise TooFewLabels(
            f"{len(frame)} of {len(labels.frame)} items have a complete window and a known label; at least {LEAST_LABELS} are "
            f"needed. {_remedy(labels, events, protocol)}"
        )
    if not frame["observed_events"].sum() and not protocol.forecasts_at_publication:
        window = f"hours = {protocol.hours:g}" if protocol.first_k is None else f"first_k = {protocol.first_k}"
        raise NothingToLearn(
            f"none of {len(frame)} labelled items has feedback in its observation window (protocol.{window}). "
            f"{_first_feedback(frame, events)}"
        )
    if (frame["observed_until"] == frame["t0"]).all() and not protocol.forecasts_at_publication:
        raise NothingToLearn(
            "every labelled item's observation window ends at t = 0, with its first event: there is no time between events; "
            "raise protocol.first_k, or observe hours"
        )
    if frame["count"].n_unique() == 1:
        what = "events" if labels.label_event == "all" else f"{labels.label_event} events"
        types = ", ".join(events["type"].unique().sort())
        raise NothingToLearn(
            f"all {len(frame)} labels are equal, {frame['count'][0]} {what}: there is nothing to learn. Count another type "
            f"(protocol.label_event; all, {types} are allowed) or up to another horizon (protocol.horizon_hours)"
        )
    if protocol.split == "chronological":
        _refuse_small_sides(frame, labels, protocol)


def _refuse_small_sides(frame: pl.DataFrame, labels: Labels, protocol: Protocol) -> None:
    sides = chronological(
        frame["item"].to_list(),
        frame["t0"],
        np.arange(len(frame)),
        label_times=frame["label_time"],
        fractions=protocol.fractions,
    )
    sizes = dict(sides["split"].value_counts().iter_rows())
    for side, least in LEAST_ITEMS.items():
        if sizes.get(side, 0) < least:
            raise TooFewLabels(
                f"split = 'chronological' leaves the {side} split {sizes.get(side, 0)} of {len(frame)} labelled items; at "
                f"least {least} are needed. {sizes.get('gap', 0)} have labels that were not known when the first test item was "
                f"published. {describe_followed(labels)} A shorter protocol.horizon_hours leaves more"
            )


def describe_followed(labels: Labels) -> str:
    """Say in a sentence or two when the data end and how long the items were followed."""
    hours = _followed_hours(labels)
    end = f"The data end at {tell_moment(labels.as_of)}."
    if not len(hours):
        return f"{end} No item has a publication or an event before that."
    return (
        f"{end} {len(hours)} items were followed for {hours.min() / 24:.1f} to {hours.max() / 24:.1f} days after t = 0, half "
        f"of them for {np.median(hours) / 24:.1f} or more."
    )


def _followed_hours(labels: Labels) -> np.ndarray:
    """Return the hours from t = 0 to the end of the data, (n,), of the n items with t = 0 before that end."""
    begun = labels.frame.filter(pl.col("t0") <= labels.as_of)
    return (labels.as_of - begun["t0"].to_numpy()) / HOUR_MS


def _remedy(labels: Labels, events: pl.DataFrame, protocol: Protocol) -> str:
    """Say which setting would leave enough labels."""
    sentences = [describe_followed(labels)]
    if protocol.horizon is not None:
        # a horizon equal to the count-th longest time leaves `count` items labelled
        longest = np.sort(_followed_hours(labels))[::-1]
        counts = sorted({LEAST_LABELS, len(longest) // 2} - set(range(LEAST_LABELS)))
        choices = [(np.floor(longest[count - 1] * 10) / 10, count) for count in counts if count <= len(longest)]
        least = protocol.hours if protocol.first_k is None else 0.0
        sentences += [
            f"protocol.horizon_hours = {hours:g} would follow {count} to the end."
            for hours, count in choices
            if hours > least
        ]
        if len(sentences) == 1:
            sentences.append(
                "Too few are followed for longer than protocol.hours: shorten both, or take data of a longer time."
            )
    if protocol.first_k is not None:
        sizes = np.sort(events["item"].value_counts()["count"].to_numpy())[::-1]
        tenth = f", the tenth {sizes[LEAST_LABELS - 1]}" if len(sizes) >= LEAST_LABELS else ""
        sentences.append(f"The item with most events has {sizes[0]}{tenth}; protocol.first_k is {protocol.first_k}.")
    return " ".join(sentences)


def _first_feedback(frame: pl.DataFrame, events: pl.DataFrame) -> str:
    firsts = events.group_by("item").agg(pl.col("time").min()).join(frame.select("item", "t0"), on="item")
    if firsts.is_empty():
        return "They have no feedback at all."
    hours = (firsts["time"] - firsts["t0"]).median() / HOUR_MS
    return f"The first event of half of them comes {hours:.1f} hours after t = 0 or later; is published_at right?"
