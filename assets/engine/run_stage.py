"""One run of a per-video stage: plan, compute what is new or stale shard by shard, commit, report.

Every per-video asset is this mechanism with its own inputs, fingerprint and computation.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import dagster as dg
import polars as pl

from assets.engine.data_versions import version_of_rows
from assets.engine.dry_run import stop_if_planning
from assets.engine.progress import Progress
from assets.engine.run_log import note_run
from assets.engine.shard_statistics import KEPT, ShardStatistics
from assets.settings import Run
from storage.fingerprint import Fingerprint
from storage.plan import KINDS, LEFT_FAILED, Plan
from storage.rows import Row
from storage.stage import Stage
from storage.store import Store

Compute = Callable[[Sequence[str]], Iterable[Row]]
PREVIEW = 20
LONGEST_SHARD = 600.0  # seconds


def run_stage(
    context: dg.AssetExecutionContext,
    store: Store,
    run: Run,
    stage: Stage,
    *,
    inputs: Mapping[str, str],
    fingerprint: Fingerprint,
    compute: Compute,
    statistics: ShardStatistics | None = None,
) -> dg.MaterializeResult:
    """Bring a stage up to date and tell what was done.

    Args:
        context: the asset's context, for its log.
        store: where the run is noted.
        run: shard size and whether failed rows are tried again.
        stage: the stage's store.
        inputs: hash of what each item's row is computed from; items that are not named are orphaned and dropped.
        fingerprint: what else determines the rows (code version, parameters, model).
        compute: yields one row for each item it is given, in any order. It may start workers or load a model: it is called
            once, lazily, with the items of all shards in order, only if there is work.
        statistics: where `compute` measures its steps; what it spends in all, and on writing, is measured here.
    """
    statistics = statistics or ShardStatistics()
    plan = stage.plan(inputs, fingerprint, retry_failed=run.retry_failed)
    stop_if_planning(plan=plan)
    context.log.info(str(plan))
    started = time.monotonic()
    if plan.orphaned:
        stage.drop(plan.orphaned)
    if plan.todo:
        progress = Progress(context.log, stage.name, len(plan.todo))
        begun = time.monotonic()
        for shard in _shards(_counted(compute(plan.todo), progress), run.shard_size):
            statistics.add({"compute": time.monotonic() - begun})
            with statistics.step("write"):
                stage.commit(shard, fingerprint=fingerprint)
            statistics.close(items=len(shard), failed=sum(row.status == "failed" for row in shard))
            begun = time.monotonic()
        progress.finish()
    seconds = time.monotonic() - started
    states = stage.states()
    failed = states.filter(states["status"] == "failed")
    note_run(
        context, store, stage.name, computed=len(plan.todo) + len(plan.orphaned), failed=len(failed), seconds=seconds
    )
    return dg.MaterializeResult(
        data_version=version_of_rows(states), metadata=_metadata(plan, states, seconds, statistics)
    )


def unchanged_metadata(last: Mapping[str, dg.MetadataValue]) -> dict[str, dg.MetadataValue]:
    """A stage's metadata where nothing was planned, from those of its last materialisation."""
    counts = {status: last[f"rows_{status}"].value for status in ("ok", "missing", "failed")}
    failed = counts["failed"]
    plan = {
        **dict.fromkeys(KINDS, 0),
        "failed": failed,
        "unchanged": counts["ok"] + counts["missing"],
        "reasons": {LEFT_FAILED: failed} if failed else {},
    }
    kept = {name: value for name, value in last.items() if name.startswith("rows") or name == "failures"}
    kept.pop("rows_per_second", None)
    return {**kept, "plan": dg.MetadataValue.json(plan), "seconds": dg.MetadataValue.float(0.0)}


def _metadata(
    plan: Plan, states: pl.DataFrame, seconds: float, statistics: ShardStatistics
) -> dict[str, dg.MetadataValue]:
    """A stage's plan, its row counts, its failures and how fast it went."""
    counts = dict(states.group_by("status").len().iter_rows())
    failed = states.filter(states["status"] == "failed")
    metadata: dict[str, dg.MetadataValue] = {
        "rows": dg.MetadataValue.int(len(states)),
        **{f"rows_{status}": dg.MetadataValue.int(counts.get(status, 0)) for status in ("ok", "missing", "failed")},
        "plan": dg.MetadataValue.json(plan.summary()),
        "seconds": dg.MetadataValue.float(round(seconds, 2)),
    }
    if plan.todo:
        metadata["rows_per_second"] = dg.MetadataValue.float(round(len(plan.todo) / max(seconds, 1e-9), 2))
        metadata["seconds_by_step"] = dg.MetadataValue.json(statistics.totals())
        metadata["shards"] = dg.MetadataValue.json(statistics.shards[-KEPT:])
    if len(failed):
        lines = ["| item | error | reason |", "|---|---|---|"]
        for item, kind, message in failed.select("item", "error_type", "error_message").head(PREVIEW).iter_rows():
            lines.append(f"| {item} | {kind} | {message} |")
        metadata["failures"] = dg.MetadataValue.md("\n".join(lines))
    return metadata


def row_of(item: str, input_hash: str, outcome: Mapping[str, object] | Exception) -> Row:
    """A row from a computation's outcome: an exception becomes a failed row, anything else is the payload."""
    if isinstance(outcome, Exception):
        return Row.failed(item, input_hash, outcome)
    return Row.ok(item, input_hash, outcome)


def _counted(rows: Iterable[Row], progress: Progress) -> Iterator[Row]:
    for row in rows:
        progress.advance(failed=row.status == "failed", missing=row.status == "missing")
        yield row


def _shards(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    """At most `size` rows at once, and what there is after `LONGEST_SHARD` seconds: slow encoders lose no more than that."""
    shard: list[Row] = []
    begun = time.monotonic()
    for row in rows:
        shard.append(row)
        if len(shard) == size or time.monotonic() - begun > LONGEST_SHARD:
            yield shard
            shard, begun = [], time.monotonic()
    if shard:
        yield shard
