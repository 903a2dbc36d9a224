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
    columns = {"item": list(inputs), "input": list(inputs.values())}
    now = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
    stored = states.select("item", pl.col("input_hash").alias("used"), pl.col("fingerprint").alias("made_by"), "status")
    other_inputs, other_fingerprint = pl.col("used").ne_missing(pl.col("input")), pl.col("made_by") != fingerprint
    other_payload = pl.col("item").is_in(list(other_columns))
    changes = {
        made_by: _change(made_by, fingerprint, known)
        for made_by in stored["made_by"].unique()
        if made_by != fingerprint
    }
    again, why_again = ("retried", "failed before") if retry_failed else ("failed", LEFT_FAILED)
    is_new, is_stale = pl.col("status").is_null(), other_inputs | other_fingerprint | other_payload
    why_stale = (
        pl.when(other_inputs).then(pl.lit("input changed")),
        pl.when(other_fingerprint).then(
            pl.col("made_by").replace_strict(changes, default=None, return_dtype=pl.String)
        ),
        pl.when(other_payload).then(pl.lit("payload columns changed")),
    )

    def choose(new: pl.Expr, stale: pl.Expr, failed: pl.Expr, unchanged: pl.Expr) -> pl.Expr:
        is_failed = pl.col("status") == "failed"
        return pl.when(is_new).then(new).when(is_stale).then(stale).when(is_failed).then(failed).otherwise(unchanged)

    judged = now.join(stored, on="item", how="left", maintain_order="left").select(
        "item",
        choose(*map(pl.lit, ("new", "stale", again, "unchanged"))).alias("kind"),
        choose(
            pl.lit("new item"),
            pl.concat_str(why_stale, separator="; ", ignore_nulls=True),
            pl.lit(why_again),
            pl.lit(None, pl.String),
        ).alias("reason"),
    )
    kinds = {kind: judged.filter(pl.col("kind") == kind)["item"].to_list() for kind in KINDS}
    todo = judged.filter(pl.col("kind").is_in(["new", "stale", "retried"]))["item"].to_list()
    reasons = dict(judged.drop_nulls("reason").select("item", "reason").iter_rows())
    kinds["orphaned"] = stored.join(now, on="item", how="anti")["item"].sort().to_list()
    reasons |= dict.fromkeys(kinds["orphaned"], "no input any more")
    return Plan(stage, **kinds, todo=todo, reasons=reasons)


def _change(made_by: str, fingerprint: str, known: Mapping[str, Fingerprint]) -> str:
    """Return what differs between the fingerprint of some rows and the current one."""
    if made_by in known and fingerprint in known:
        return "; ".join(known[made_by].differences(known[fingerprint]))
    return f"fingerprint: {made_by} -> {fingerprint}"
