"""What a run of a stage would compute, and why."""

from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import dataclass

import polars as pl

from storage.fingerprint import Fingerprint

LEFT_FAILED = "failed before, not retried"
KINDS = ("new", "stale", "retried", "failed", "orphaned", "unchanged")


@dataclass(frozen=True)
class Plan:
    """Items by what happens to them; `reasons` tells why for all but the unchanged.

    new: never computed; stale: input or fingerprint changed; retried: failed before and tried again; failed: failed
    before and left so; orphaned: stored, but no input any more (to be dropped); unchanged: nothing to do.
    todo: new, stale and retried in the order of the inputs.
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
        """Counts by kind, and how many items each reason holds for, the most frequent first (JSON-able)."""
        counts: dict[str, int | dict[str, int]] = {kind: len(getattr(self, kind)) for kind in KINDS}
        counts["reasons"] = dict(Counter(self.reasons.values()).most_common())
        return counts

    def __str__(self) -> str:
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
    """Compares inputs (item -> hash) with the stored states.

    known: fingerprint hash -> its parts, for the reasons; other_columns: items stored with another payload schema.
    """
    stored = {
        item: (input_hash, made_by, status)
        for item, input_hash, made_by, status in states.select(
            "item", "input_hash", "fingerprint", "status"
        ).iter_rows()
    }
    kinds: dict[str, list[str]] = {kind: [] for kind in KINDS}
    reasons: dict[str, str] = {}
    todo = []
    changes: dict[str, str] = {}

    def change(made_by: str) -> str:
        if made_by not in changes:
            if made_by in known and fingerprint in known:
                found = known[made_by].differences(known[fingerprint])
                changes[made_by] = "; ".join(found)
            else:
                changes[made_by] = f"fingerprint: {made_by} -> {fingerprint}"
        return changes[made_by]

    for item, input_hash in inputs.items():
        if item not in stored:
            kind, reason = "new", "new item"
        else:
            used, made_by, status = stored[item]
            why = ["input changed"] if used != input_hash else []
            if made_by != fingerprint:
                why.append(change(made_by))
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
