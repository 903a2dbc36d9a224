"""The targets of a data set: which metric is counted, to which horizon, and from events or counters (docs/protocol.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl

from assets.engine.user_errors import UserError
from assets.settings import Protocol
from assets.settings.target import END, Target

HOUR_MS = 3_600_000
ALL = "all"
AUTO = "auto"


class ProtocolError(UserError, ValueError):
    """The protocol does not fit the data; the message says what is allowed."""


@dataclass(frozen=True)
class MeasuredTarget(Target):
    """A target together with its source in a data set.

    Attributes:
        metric: A type of event, `all`, or a column of counters.
        hours: Horizon in hours after t = 0; None for the end of the data.
        source: Whether events are counted or a counter is read.
    """

    source: Literal["events", "counter"]

    def horizon_end(self, as_of: int | None) -> pl.Expr:
        """Return the horizon's moment in ms, from a column `t0`; `as_of` if the target is counted to the end of the data."""
        if self.hours is None:
            return pl.lit(as_of, pl.Int64)
        return pl.col("t0") + round(self.hours * HOUR_MS)

    def counts(self) -> pl.Expr:
        """Return whether an event counts for the target, from a column `type`."""
        return pl.col("type").is_not_null() if self.metric == ALL else pl.col("type") == self.metric


def end_of_data(events: pl.DataFrame, counters: pl.DataFrame) -> int | None:
    """Return the time of the last event or snapshot, unix ms; None if there is none."""
    return max((last for last in (events["time"].max(), counters["time"].max()) if last is not None), default=None)


def label_event(protocol: Protocol, events: pl.DataFrame) -> str:
    """Return the metric of the primary target: a type of event, `all` for every type, or a column of counters.

    Args:
        protocol: Section `[protocol]` of the settings.
        events: All events, with their `type`.

    Example:
        >>> import polars as pl
        >>> from assets.settings import Protocol
        >>> label_event(Protocol(), pl.DataFrame({"type": ["like", "comment"]}))
        'comment'
    """
    if protocol.targets:
        return protocol.listed_targets[0].metric
    if protocol.label_event == AUTO:
        return "comment" if "comment" in events["type"] else ALL
    return protocol.label_event


def measured_targets(protocol: Protocol, events: pl.DataFrame, counters: pl.DataFrame) -> list[MeasuredTarget]:
    """Return the targets of the protocol, the primary first.

    A metric that occurs both as a type of event and as a column of counters is counted from the events.

    Args:
        protocol: Section `[protocol]` of the settings.
        events: All events, with their `type`.
        counters: All counters, with their `metric`.

    Raises:
        ProtocolError: The data set has neither events nor counters, or a target's metric does not occur in them.

    Example:
        >>> import polars as pl
        >>> from assets.settings import Protocol
        >>> events, counters = pl.DataFrame({"type": ["like"]}), pl.DataFrame({"metric": ["like", "view"]})
        >>> [
        ...     (target.name, target.source)
        ...     for target in measured_targets(Protocol(targets=["like@7d", "view@30d"]), events, counters)
        ... ]
        [('like@7d', 'events'), ('view@30d', 'counter')]
    """
    types, metrics = (frame.unique().sort().to_list() for frame in (events["type"], counters["metric"]))
    if not types and not metrics:
        raise ProtocolError(
            "the data set has neither events nor counters, so there is nothing to forecast: add events or counters "
            "(docs/datasets.md)"
        )
    if not protocol.targets and protocol.label_event == AUTO and not types:
        raise ProtocolError(
            f"the data set has no events, only counters ({', '.join(metrics)}): name what is forecast, for example "
            f'targets = ["{metrics[0]}@{END}"] or ["{metrics[0]}@7d"] below [protocol] in reelcast.toml'
        )
    listed = protocol.listed_targets or [Target(label_event(protocol, events), protocol.horizon)]
    unknown = [target for target in listed if target.metric not in (*types, *metrics) and not _is_all(target, types)]
    if unknown and not protocol.targets:
        allowed = [ALL, AUTO] if types else []
        raise ProtocolError(
            f"protocol.label_event = {protocol.label_event!r}: allowed are {', '.join([*allowed, *types, *metrics])}"
        )
    if unknown:
        counted = [f"events have the types {', '.join(types)}, and `{ALL}` counts every type"] if types else []
        read = [f"counters have {', '.join(metrics)}"] if metrics else []
        raise ProtocolError(
            f"protocol.targets: no data for {', '.join(target.name for target in unknown)}; {'; '.join([*counted, *read])}"
        )
    return [
        MeasuredTarget(
            target.metric, target.hours, "events" if target.metric in types or _is_all(target, types) else "counter"
        )
        for target in listed
    ]


def _is_all(target: Target, types: list[str]) -> bool:
    return target.metric == ALL and bool(types)
