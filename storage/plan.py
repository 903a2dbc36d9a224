"""The items that a run of a stage would compute, with reasons."""

from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import dataclass

import polars as pl

from storage.fingerprint import Fingerprint

LEFT_FAILED = "failed before, not retried"
KINDS = ("new", "stale", "retried", "failed", "orphaned", "unchanged")


@dataclass(frozen=True)
class Plan:
    """The items of a stage, grouped by what a run does with them.

    Attributes:
        stage: The stage's name.
        new: Items that were never computed.
        stale: Items whose input or fingerprint has changed.
        retried: Items that failed before and are computed again.
        failed: Items that failed before and are not computed again.
        orphaned: Items with a row but without an input; their rows are dropped.
        unchanged: Items whose rows are up to date.
        todo: The new, stale and retried items, in the order of the inputs.
        reasons: Item -> why it is not unchanged.
    """

    stage: str
    new: list[str]
    stale: list[str]
    retried: list[str]
    failed: list[str]
    orphaned: list[str]
    unchanged: list[str]
    todo: list[str]
    reasons: dict[str, str]

    def summary(self) -> dict[str, int | dict[str, int]]:
        """Return the number of items per kind and, under `reasons`, per reason, most frequent first (JSON-able)."""
        counts: dict[str, int | dict[str, int]] = {kind: len(getattr(self, kind)) for kind in KINDS}
        counts["reasons"] = dict(Counter(self.reasons.values()).most_common())
        return counts

    def __str__(self) -> str:
        """Return the counts in one line, followed by one line per reason."""
        counts = ", ".join(f"{len(getattr(self, kind)):,} {kind}" for kind in KINDS)
        reasons = "".join(f"\n    {count:,} x {reason}" for reason, count in self.summary()["reasons"].items())
        return f"{self.stage}: {len(self.todo):,} to compute ({counts}){reasons}"


def make_plan(
    stage: str,
    inputs: Mapping[str, str],
    fingerprint: str,
    states: pl.DataFrame,
    known: Mapping[str, Fingerprint],
    other_columns: Container[str],
    *,
    retry_failed: bool,
) -> Plan:
    """Compare a stage's inputs with its stored states.

    Args:
        stage: The stage's name.
        inputs: Item -> content hash of its inputs, in the order in which items are to be computed.
        fingerprint: Hash of the current fingerprint.
        states: The stored states, one row per item.
        known: Fingerprint hash -> fingerprint, for the reasons.
        other_columns: Items that are stored with another payload schema.
        retry_failed: Whether to compute items again that failed with the same inputs and fingerprint.
    """
    stored = {
        item: (input_hash, computed_with, status)
        for item, input_hash, computed_with, status in states.select(
            "item", "input_hash", "fingerprint", "status"
        ).iter_rows()
    }
    kinds: dict[str, list[str]] = {kind: [] for kind in KINDS}
    reasons: dict[str, str] = {}
    todo = []
    changes: dict[str, str] = {}

    def change(computed_with: str) -> str:
        if computed_with not in changes:
            if computed_with in known and fingerprint in known:
                found = known[computed_with].differences(known[fingerprint])
                changes[computed_with] = "; ".join(found)
            else:
                changes[computed_with] = f"fingerprint: {computed_with} -> {fingerprint}"
        return changes[computed_with]

    for item, input_hash in inputs.items():
        if item not in stored:
            kind, reason = "new", "new item"
        else:
            used, computed_with, status = stored[item]
            why = ["input changed"] if used != input_hash else []
            if computed_with != fingerprint:
                why.append(change(computed_with))
            if item in other_columns:
                why.append("payload columns changed")
            if why:
                kind, reason = "stale", "; ".join(why)
            elif status == "failed":
                kind = "retried" if retry_failed else "failed"
                reason = "failed before" if retry_failed else LEFT_FAILED
            else:
                kind, reason = "unchanged", ""
        kinds[kind].append(item)
        if reason:
            reasons[item] = reason
        if kind in ("new", "stale", "retried"):
            todo.append(item)
    for item in stored.keys() - inputs.keys():
        kinds["orphaned"].append(item)
        reasons[item] = "no input any more"
    kinds["orphaned"].sort()
    return Plan(stage, **kinds, todo=todo, reasons=reasons)
