"""Shards as tasks of a Ray cluster (`run.executor = "ray"`): one task per shard of a stage, or of the memory bank.

Each task of a stage commits its own part, and returns numbers only. If a machine or a process is lost, Ray starts its shard
again elsewhere. The part that was reserved for the shard is committed once, by whichever try is first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import dagster as dg

from assets.engine.shard_task import ShardJob, ShardResult, compute_shard
from assets.engine.shard_work import AssetName, ShardWork
from assets.engine.skip_unchanged import code_mark
from assets.engine.user_errors import UserError
from assets.settings import Settings

if TYPE_CHECKING:
    import ray

T, R = TypeVar("T"), TypeVar("R")
LOOK_SECONDS = 20.0  # between two looks at the cluster while no shard ends


class ClusterError(UserError):
    """The Ray cluster cannot be used, or it lost a shard too often."""


def compute_on_ray(
    context: dg.AssetExecutionContext, settings: Settings, work: ShardWork, todo: Sequence[str], *, size: int
) -> Iterator[ShardResult]:
    """Compute and commit rows on the cluster.

    Args:
        context: The asset's context.
        settings: The settings; section `[ray]` names the cluster and says what a shard needs.
        work: The stage's work, of which only the plan's part is sent.
        todo: Items to compute.
        size: Items per shard.

    Yields:
        The numbers of each shard, in the order in which shards end.

    Raises:
        ClusterError: There is no cluster, or a shard's worker was lost `ray.max_retries` times.
        Exception: What a shard raised.
    """
    ray = connected(settings)
    name = work.stage.name
    values = settings.model_dump(mode="json")
    values["run"]["workers"] = settings.run.workers or max(1, int(settings.ray.cpus))
    job = ShardJob(context.run.run_id, AssetName.of(context), json.dumps(values), str(Path.cwd()), code_mark())
    task = ray.remote(compute_shard).options(
        num_cpus=settings.ray.cpus,
        num_gpus=settings.ray.gpus.get(name, 0),
        max_retries=settings.ray.max_retries,
        scheduling_strategy="SPREAD",
        name=f"{name} of run {context.run.run_id[:8]}",
    )
    shared = ray.put(job)
    shards = [todo[start : start + size] for start in range(0, len(todo), size)]
    waiting = [
        task.remote(shared, {item: work.inputs[item] for item in shard}, part)
        for shard, part in zip(shards, work.stage.reserve(len(shards)), strict=True)
    ]
    context.log.info("%s: %d shards on the Ray cluster at %s", name, len(shards), settings.ray.address)
    try:
        while waiting:
            done, waiting = _wait(ray, name, waiting, kept="committed shards are kept: run again")
            with _told(settings, name, "committed shards are kept: run again", "lower run.shard_size"):
                yield from ray.get(done)
    finally:
        for shard in waiting:
            ray.cancel(shard, force=True)


def map_on_ray(settings: Settings) -> Callable[[Callable[[T], R], Sequence[T]], list[R]]:
    """Return a function like `map` whose calls are tasks of the cluster.

    Args:
        settings: The settings; section `[ray]` names the cluster.

    Raises:
        ClusterError: There is no cluster.
    """
    ray = connected(settings)

    def run(function: Callable[[T], R], tasks: Sequence[T]) -> list[R]:
        task = ray.remote(function).options(num_cpus=settings.ray.cpus, max_retries=settings.ray.max_retries)
        results = [task.remote(one) for one in tasks]
        waiting = results
        while waiting:
            _, waiting = _wait(ray, "neighbours", waiting, kept="run again")
        with _told(settings, "neighbours", "run again", "raise bank.shards"):
            return ray.get(results)

    return run


def _wait(ray: ray, name: str, waiting: Sequence[object], *, kept: str) -> tuple[list[object], list[object]]:
    """Return the tasks that have ended and the others, as `ray.wait` does, which waits for a lost cluster forever.

    Raises:
        ClusterError: The cluster does not know this process's node any more: its head was lost and started again.
    """
    unknown = 0
    while unknown < 2:
        done, others = ray.wait(waiting, timeout=LOOK_SECONDS)
        if done:
            return done, others
        unknown = 0 if _knows_this_node(ray) else unknown + 1
    raise ClusterError(f"{name}: the Ray cluster was started anew during the run, so its tasks are lost; {kept}")


def _knows_this_node(ray: ray) -> bool:
    """Return whether the cluster has this process's node; True while its head does not answer, for which Ray waits itself."""
    from ray._raylet import GcsClient  # `ray.nodes()` ends the process if the head was started anew

    context = ray.get_runtime_context()
    try:
        nodes = GcsClient(address=context.gcs_address).get_all_node_info(timeout=10)
    except Exception:  # of several types, by the version of Ray
        return True
    return context.get_node_id() in {number.hex() for number, node in nodes.items() if node.state == 0}


@contextmanager
def _told(settings: Settings, name: str, kept: str, smaller: str) -> Iterator[None]:
    """Turn the cluster's errors into what a task raised, or into a sentence that says what to do."""
    import ray

    try:
        yield
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        raise ClusterError(
            f"{name}: a shard was lost {settings.ray.max_retries + 1} times, or the cluster ended ({type(error).__name__}); "
            f"{kept}. A shard that needs more memory than a worker has dies each time: {smaller}"
        ) from error


def connected(settings: Settings) -> ray:
    """Return the module `ray`, connected to the cluster that the settings name.

    Raises:
        ClusterError: Ray is not installed, or the cluster does not answer.
    """
    try:
        import ray
    except ImportError:
        raise ClusterError('run.executor is "ray", but Ray is not installed: pip install "reelcast[ray]"') from None
    if not ray.is_initialized():
        try:
            ray.init(address=settings.ray.address, log_to_driver=False, logging_level="warning")
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise ClusterError(
                f"no Ray cluster answers at {settings.ray.address!r} (ray.address); start one with `ray start --head`. "
                f"Ray says: {str(error).splitlines()[0]}"
            ) from error
    return ray
