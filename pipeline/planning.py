"""`reelcast plan`: find out what a run would compute, and why, without computing it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg
from rich.console import Console
from rich.table import Table

from assets.engine.dry_run import NothingToCompute, WouldCompute, dry_run
from assets.engine.gates import gates_of
from assets.engine.store_access import open_store
from assets.settings import Settings
from storage.plan import Plan


@dataclass(frozen=True)
class StagePlan:
    """The plan of one stage.

    Attributes:
        name: Name of the stage.
        plan: Items and reasons of a per-video stage, with its inputs as they are now.
        reason: Why a table or a fitted model is computed again.
        follows: Changing upstream stages whose output decides about this one.
        more: Further items of a per-video stage that these upstream stages may add.
    """

    name: str
    plan: Plan | None = None
    reason: str = ""
    follows: tuple[str, ...] = ()
    more: int = 0

    @property
    def changes(self) -> bool:
        """Whether the run certainly or possibly computes something here."""
        return bool(self.reason or self.follows or (self.plan and (self.plan.todo or self.plan.orphaned)))


def plan_run(settings: Settings, definitions: dg.Definitions) -> list[StagePlan]:
    """Ask every asset for its plan, in the order of the graph.

    Args:
        settings: Settings of the run.
        definitions: The graph.

    Returns:
        One plan per asset, in the order of the graph.

    Raises:
        storage.datasets.DatasetError: The data set would stop the run at its start.
        models.encoders.EncoderError: A missing checkpoint would stop the run at its start.
        storage.durable.StoreError: The store would stop the run at its start.
    """
    open_store(settings)
    graph = definitions.resolve_asset_graph()
    assets = {key: definitions.resolve_assets_def(key) for key in graph.toposorted_asset_keys}
    plans: dict[dg.AssetKey, StagePlan] = {}
    touched: dict[dg.AssetKey, set[str]] = {}
    with dry_run() as dry:
        for key, asset in assets.items():
            name, parents = key.to_user_string(), graph.get(key).parent_keys - gates_of(asset.specs)
            # A per-video stage whose rows are all known in advance decides nothing more: its downstream stages know them too.
            before = [
                parent
                for parent, found in plans.items()
                if parent in parents and found.changes and (found.plan is None or touched[parent])
            ]
            found = _ask(asset, settings, waits=bool(before))
            items = set().union(*(touched[parent] for parent in before)) if before else set()
            if found and found.plan and any(plans[parent].plan is None for parent in before):
                items |= set(found.plan.unchanged)  # a fitted model or a table can change every row
            own = set(found.plan.todo) | set(found.plan.orphaned) if found and found.plan else set()
            touched[key] = (items | own) - dry.certain.get(name, frozenset())
            plans[key] = StagePlan(
                name,
                plan=found.plan if found else None,
                reason=found.reason if found else "",
                follows=tuple(parent.to_user_string() for parent in before),
                more=len(items - own),
            )
    return list(plans.values())


def _ask(asset: dg.AssetsDefinition, settings: Settings, *, waits: bool) -> WouldCompute | None:
    """Return what the asset would compute with the present store; None for nothing, or if only the run can tell."""
    with dg.build_asset_context() as context:
        context.log.setLevel(logging.WARNING)
        try:
            asset(context, settings)
        except WouldCompute as found:
            return found
        except NothingToCompute:
            return None
        except Exception:
            if not waits:
                raise
    return None


def show(console: Console, stages: Sequence[StagePlan]) -> None:
    """Print one line per stage."""
    table = Table(box=None, pad_edge=False)
    for column in ("stage", "to compute", "why"):
        table.add_column(column, justify="right" if column == "to compute" else "left", overflow="fold")
    for stage in stages:
        table.add_row(stage.name, _count(stage), "\n".join(_reasons(stage)))
    console.print(table)
    if not any(stage.changes for stage in stages):
        console.print("\nNothing to compute.")


def as_rows(stages: Sequence[StagePlan]) -> list[dict[str, object]]:
    """Return the plans as plain values: per stage its name, whether it changes, counts, reasons and the items to compute."""
    return [
        {
            "stage": stage.name,
            "changes": stage.changes,
            "to_compute": len(stage.plan.todo) if stage.plan else None,
            "perhaps": stage.more,
            "reasons": _reasons(stage),
            "follows": list(stage.follows),
            "items": dict(stage.plan.reasons) if stage.plan else {},
        }
        for stage in stages
    ]


def show_items(console: Console, stage: StagePlan) -> None:
    """Print one line per item of a per-video stage."""
    if stage.plan is not None:
        for item, reason in stage.plan.reasons.items():
            console.print(f"{item}: {reason}", markup=False, highlight=False)
    for line in _reasons(stage) if stage.plan is None or not stage.plan.reasons else []:
        console.print(line, markup=False, highlight=False)


def _count(stage: StagePlan) -> str:
    if stage.plan is None:
        return "again" if stage.reason else "perhaps" if stage.follows else "-"
    certain = len(stage.plan.todo)
    if stage.more:
        return f"{certain:,} to {certain + stage.more:,}"
    return f"{certain:,}" if certain else "-"


def _reasons(stage: StagePlan) -> list[str]:
    lines = [stage.reason] if stage.reason else []
    if stage.plan is not None:
        lines += [f"{count:,} x {reason}" for reason, count in stage.plan.summary()["reasons"].items()]
    names = ", ".join(stage.follows)
    if names and stage.plan is None:
        lines.append(f"follows {names}")
    elif names and stage.more:
        lines.append(f"{stage.more:,} more if the output of {names} changes")
    return lines
