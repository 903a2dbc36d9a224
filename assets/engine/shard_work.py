"""The work of a stage, opened by another process than the one that planned it.

A worker process calls the asset's own function, up to the point where `run_stage` would begin. So it opens the store and reads
the settings' files itself, and nothing that the computation needs must be sent to it.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import dagster as dg

from assets.engine.dry_run import dry_run
from assets.engine.shard_statistics import ShardStatistics
from assets.settings import Settings
from storage.fingerprint import Fingerprint
from storage.rows import Row
from storage.stage import Stage

Compute = Callable[[Sequence[str]], Iterable[Row]]


@dataclass(frozen=True)
class ShardWork:
    """What computes any items of a stage.

    Attributes:
        stage: Rows of the stage.
        inputs: Item -> hash of what its row is computed from.
        fingerprint: What else determines the rows.
        compute: Yields one row per item.
        statistics: Where `compute` records the seconds of its own steps.
    """

    stage: Stage
    inputs: Mapping[str, str]
    fingerprint: Fingerprint
    compute: Compute
    statistics: ShardStatistics


@dataclass(frozen=True)
class AssetName:
    """Where an asset's definition can be imported from."""

    module: str
    name: str

    @classmethod
    def of(cls, context: dg.AssetExecutionContext) -> AssetName:
        """Return the name of the asset that a step computes."""
        function = context.assets_def.op.compute_fn.decorated_fn
        return cls(function.__module__, function.__name__)


class _Opened(Exception):
    """Carries the work out of the asset's function."""

    def __init__(self, work: ShardWork):
        super().__init__()
        self.work = work


_opening: ContextVar[bool] = ContextVar("opening", default=False)


def open_work(asset: AssetName, settings: Settings) -> ShardWork:
    """Return the work of an asset's stage. Nothing is computed, and the store is not changed.

    Args:
        asset: The asset.
        settings: The settings of the run.
    """
    definition = getattr(importlib.import_module(asset.module), asset.name)
    with dg.build_asset_context() as context, _opened_only():
        context.log.setLevel(logging.WARNING)
        try:
            definition(context, settings)
        except _Opened as opened:
            return opened.work
    raise RuntimeError(f"{asset.module}.{asset.name} has no shards: it does not call `run_stage`")


@contextmanager
def _opened_only() -> Iterator[None]:
    token = _opening.set(True)
    try:
        with dry_run():
            yield
    finally:
        _opening.reset(token)


def hand_over(work: ShardWork) -> None:
    """End the asset's function here if it was called by `open_work`; `run_stage` calls this first."""
    if _opening.get():
        raise _Opened(work)
