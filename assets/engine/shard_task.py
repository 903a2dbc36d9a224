"""One shard of a stage in a worker process of a cluster: compute its rows, commit them once, return numbers."""

from __future__ import annotations

import json
import os
import socket
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from assets.engine.shard_work import AssetName, ShardWork, open_work
from assets.engine.skip_unchanged import code_mark
from assets.engine.user_errors import UserError
from assets.settings import Settings
from storage.parts import ReservedPart


class UnfitWorker(UserError):
    """A worker's machine has other code, other files or another store than the run."""


@dataclass(frozen=True)
class ShardJob:
    """What all shards of a stage have in common in one run. A worker process opens the stage once per job.

    Attributes:
        run_id: The run.
        asset: The stage's asset.
        settings: The settings of the run, as JSON.
        folder: Working folder of the run, to which relative paths in the settings refer.
        code: Digest of the run's source code.
    """

    run_id: str
    asset: AssetName
    settings: str
    folder: str
    code: str


@dataclass(frozen=True)
class ShardResult:
    """Numbers of a committed shard.

    Attributes:
        rows: Status -> number of rows.
        statistics: Measurements, as in `ShardStatistics.shards`.
        host: Name of the machine.
    """

    rows: Mapping[str, int]
    statistics: Mapping[str, Any]
    host: str


def compute_shard(job: ShardJob, inputs: Mapping[str, str], part: ReservedPart) -> ShardResult:
    """Compute and commit one shard, unless its part is committed already.

    Args:
        job: The stage and the run.
        inputs: Item -> hash of what its row is computed from, as the run planned it.
        part: The part that is reserved for this shard. Of several tries, the first commit counts.

    Raises:
        UnfitWorker: This machine lacks the run's folder, has other code, or sees other inputs than the run.
    """
    work = _opened(job)
    started = time.monotonic()
    states = work.stage.committed(part)
    if states is None:
        _check_inputs(work, inputs)
        rows = list(work.compute(list(inputs)))
        work.statistics.add({"compute": time.monotonic() - started})
        with work.statistics.step("write"):
            work.stage.commit(rows, fingerprint=work.fingerprint, part=part)
        counts = Counter(row.status for row in rows)
    else:  # an earlier try was lost after its commit
        counts = Counter(states["status"].to_list())
    work.statistics.close(items=len(inputs), failed=counts["failed"])
    return ShardResult(dict(counts), work.statistics.shards.pop(), socket.gethostname())


@lru_cache(maxsize=1)
def _opened(job: ShardJob) -> ShardWork:
    if code_mark() != job.code:
        raise UnfitWorker(
            f"the worker on {socket.gethostname()} has other code than the run: install the same version of reelcast, or use "
            "the same image"
        )
    if not Path(job.folder).is_dir():
        raise UnfitWorker(
            f"the worker on {socket.gethostname()} has no folder {job.folder}, in which the run works: mount it there, or use "
            "the same image"
        )
    os.chdir(job.folder)
    return open_work(job.asset, Settings(**json.loads(job.settings)))


def _check_inputs(work: ShardWork, inputs: Mapping[str, str]) -> None:
    other = [item for item, digest in inputs.items() if work.inputs.get(item) != digest]
    if other:
        raise UnfitWorker(
            f"{work.stage.name}: the worker on {socket.gethostname()} sees other inputs of {len(other):,} videos than the run, "
            f"first {other[0]}. Data and store must be the same on all machines (docs/cluster.md)"
        )
