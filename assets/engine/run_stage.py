"""One run of a per-video stage: plan, compute new and stale rows shard by shard, commit each shard, report.

Every per-video asset uses this function with its own inputs, fingerprint and computation.
"""

import time
from collections.abc import Iterable, Iterator, Mapping

import dagster as dg
import polars as pl

from assets.engine.data_versions import version_of_rows
from assets.engine.dry_run import stop_if_planning
from assets.engine.progress import Progress
from assets.engine.ray_shards import compute_on_ray
from assets.engine.run_log import note_run
from assets.engine.shard_statistics import KEPT, ShardStatistics
from assets.engine.shard_task import ShardResult
from assets.engine.shard_work import Compute, ShardWork, hand_over
from assets.engine.shown_tables import table_of
from assets.settings import Settings
from storage.fingerprint import Fingerprint
from storage.plan import KINDS, LEFT_FAILED, Plan
from storage.rows import Row
from storage.stage import Stage
from storage.store import Store

PREVIEW = 20
LONGEST_REASON = 300  # characters
OF_ONE_RUN = frozenset({"rows_per_second", "seconds_by_step", "shards"})
LONGEST_SHARD = 600.0  # seconds
QUICK = 20  # times as many rows in a shard whose rows cost next to nothing


def run_stage(
    context: dg.AssetExecutionContext,
    store: Store,
    settings: Settings,
    stage: Stage,
    *,
    inputs: Mapping[str, str],
    fingerprint: Fingerprint,
    compute: Compute,
    statistics: ShardStatistics | None = None,
    is_quick: bool = False,
    depends_on_batch: bool = False,
) -> dg.MaterializeResult:
    """Bring a stage up to date.

    Args:
        context: The asset's context, for its log.
        store: The store; the run is recorded in its log.
        settings: Shard size, whether failed rows are tried again, and where shards are computed.
        stage: Rows of the stage.
        inputs: Item -> hash of what its row is computed from. Rows of other items are orphaned and dropped.
        fingerprint: What else determines the rows: code version, parameters, model.
        compute: Yields one row per item, in any order. It is called once, with the items of all shards, and only if there is
            work, so that it may start workers or load a model. On a cluster, each shard's process calls its own.
        statistics: Where `compute` records the seconds of its own steps. This function adds the total and the writing.
        is_quick: Whether rows cost next to nothing to compute. A shard is then `QUICK` times as large, so that a stage of a
            million videos has hundreds of parts, not thousands.
        depends_on_batch: Whether the last bits of a row depend on the items that it is computed with. Such a stage is computed
            in the run's process on a cluster too, so that a cluster changes no result.

    Returns:
        The materialisation, with the plan, row counts, failures and timings as metadata.

    Raises:
        WouldCompute: In a dry run.
    """
    statistics = statistics or ShardStatistics()
    work = ShardWork(stage, inputs, fingerprint, compute, statistics)
    hand_over(work)
    plan = stage.plan(inputs, fingerprint, retry_failed=settings.run.retry_failed)
    stop_if_planning(plan=plan)
    context.log.info(str(plan))
    started = time.monotonic()
    if plan.orphaned:
        stage.drop(plan.orphaned)
    if plan.todo:
        progress = Progress(context.log, stage.name, len(plan.todo))
        size = settings.run.shard_size
        if settings.shards_on_ray and not depends_on_batch:
            _count_shards(
                compute_on_ray(context, settings, work, plan.todo, size=size * (QUICK if is_quick else 1)),
                progress,
                statistics,
            )
        else:
            _compute_here(work, _shards(_counted(compute(plan.todo), progress), size, is_quick=is_quick))
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
    """Return the metadata of a stage whose run was skipped, from those of its last materialisation."""
    counts = {status: last[f"rows_{status}"].value for status in ("ok", "missing", "failed")}
    failed = counts["failed"]
    plan = {
        **dict.fromkeys(KINDS, 0),
        "failed": failed,
        "unchanged": counts["ok"] + counts["missing"],
        "reasons": {LEFT_FAILED: failed} if failed else {},
    }
    kept = {name: value for name, value in last.items() if name not in OF_ONE_RUN}
    return {**kept, "plan": dg.MetadataValue.json(plan), "seconds": dg.MetadataValue.float(0.0)}


def _metadata(
    plan: Plan, states: pl.DataFrame, seconds: float, statistics: ShardStatistics
) -> dict[str, dg.MetadataValue]:
    """Return a stage's plan, row counts, failures and speed."""
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
        shown = failed.select("item", error="error_type", reason="error_message").head(PREVIEW)
        metadata["failures"] = table_of(shown, longest=LONGEST_REASON)
    return metadata


def row_of(item: str, input_hash: str, outcome: Mapping[str, object] | Exception) -> Row:
    """Return the row of a computation: a failed row for an exception, otherwise an ok row with the outcome as its payload."""
    if isinstance(outcome, Exception):
        return Row.failed(item, input_hash, outcome)
    return Row.ok(item, input_hash, outcome)


def _count_shards(shards: Iterable[ShardResult], progress: Progress, statistics: ShardStatistics) -> None:
    """Record shards that were computed and committed elsewhere."""
    for shard in shards:
        rows = shard.rows
        progress.advance(sum(rows.values()), failed=rows.get("failed", 0), missing=rows.get("missing", 0))
        statistics.shards.append(dict(shard.statistics))


def _compute_here(work: ShardWork, shards: Iterable[list[Row]]) -> None:
    """Commit shards as their rows are computed."""
    statistics, shard_started = work.statistics, time.monotonic()
    for shard in shards:
        statistics.add({"compute": time.monotonic() - shard_started})
        with statistics.step("write"):
            work.stage.commit(shard, fingerprint=work.fingerprint)
        statistics.close(items=len(shard), failed=sum(row.status == "failed" for row in shard))
        shard_started = time.monotonic()


def _counted(rows: Iterable[Row], progress: Progress) -> Iterator[Row]:
    for row in rows:
        progress.advance(failed=row.status == "failed", missing=row.status == "missing")
        yield row


def _shards(rows: Iterable[Row], size: int, *, is_quick: bool) -> Iterator[list[Row]]:
    """Yield shards of at most `size` rows, closed after `LONGEST_SHARD` seconds so that a kill loses little work.

    Quick rows, and rows that are all missing, come in shards of `QUICK * size`.
    """
    shard: list[Row] = []
    is_cheap, started = True, time.monotonic()
    for row in rows:
        shard.append(row)
        is_cheap = is_cheap and (is_quick or row.status == "missing")
        if len(shard) >= size * (QUICK if is_cheap else 1) or time.monotonic() - started > LONGEST_SHARD:
            yield shard
            shard, is_cheap, started = [], True, time.monotonic()
    if shard:
        yield shard
