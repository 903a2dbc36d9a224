"""Typed reference to a per-video stage, for the stages that read it."""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg
import pyarrow as pa

from storage.stage import Stage
from storage.store import Store


@dataclass(frozen=True)
class StageDeclaration:
    """A per-video stage as other stages refer to it; each stage's file exports one.

    Attributes:
        name: Name of the stage in the store and of its asset.
        payload: Columns that the stage computes.
        asset: The asset that fills the stage.
    """

    name: str
    payload: pa.Schema
    asset: dg.AssetsDefinition

    def open(self, store: Store) -> Stage:
        """Return the stage's rows in a store."""
        return store.stage(self.name, self.payload)

    def columns(self, *names: str) -> StageColumns:
        """Return a reference to some columns of this stage, as `EncoderStage.upstream` takes it."""
        return StageColumns(self, names)


@dataclass(frozen=True)
class StageColumns:
    """Some columns of a stage."""

    stage: StageDeclaration
    names: tuple[str, ...]
