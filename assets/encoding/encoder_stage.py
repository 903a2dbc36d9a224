"""A stage with one row per video that an encoder fills. Frames, sound and texts use the same mechanism."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import dagster as dg
import pyarrow as pa

from assets.encoding.encode_blocks import (
    BLOCK,
    EncodedBlock,
    Result,
    blocks_of,
    encode_blocks,
    encode_on_devices,
    encode_prepared,
)
from assets.encoding.encoder_choice import chosen_encoder, devices_of, load, loader_count, release
from assets.encoding.encoder_loader import (
    Blocks,
    Encode,
    Finish,
    Missing,
    Prepare,
    Prepared,
    Source,
    Work,
    from_prepared,
    prepare_row,
)
from assets.encoding.expected_time import expected_tokens, warn_of_cpu
from assets.encoding.feature_imports import FeatureImport, import_features
from assets.encoding.imported_files import import_mark, imported
from assets.engine.run_stage import row_of, run_stage
from assets.engine.shard_statistics import ShardStatistics
from assets.engine.stage_declaration import StageColumns
from assets.engine.store_access import open_store, outputs
from assets.settings import Settings
from models.encoders import Role
from storage.fingerprint import Fingerprint
from storage.rows import Row
from storage.store import Store

TEXTS = 256  # texts per block: more than videos, because texts are short


def origin_mark(settings: Settings, name: str, role: Role) -> str:
    """Return a mark that changes when the stage's import file changes, or its encoder if the stage isn't imported."""
    if name in imported(settings):
        return import_mark(settings, name)
    return Fingerprint(code=0, model=chosen_encoder(settings, role).identity()).hash


@dataclass(frozen=True, kw_only=True)
class EncoderStage:
    """A stage that an encoder fills; `run` brings the stage up to date.

    All functions must be importable by name, because other processes call them.

    Attributes:
        name: Name of the stage and its asset.
        code: Version of the stage's code; raise it when the output changes.
        role: Role of the encoder.
        upstream: Columns of earlier stages that make up an item's row. If no stage has a row for an item, its row is missing
            for the reason "no ...", with the name of the first column.
        payload: Columns of the stage; for embeddings a function of the encoder's width.
        prepare: (the encoder's preparation, an item's row) -> the encoder's input, or the reason why there is none.
        finish: (the encoder's output, the note of the input) -> the row's payload, or the reason why there is none.
        encode: (the encoder, several inputs) -> one output per input.
        inputs: Store -> hash per item of everything that its row depends on. By default the output hashes of the first
            upstream stage.
        parameters: Everything else that determines the output, beside code, inputs and encoder.
        imports: How imported features become rows; None if the stage can't be imported.
    """

    name: str
    code: int
    role: Role
    upstream: tuple[StageColumns, ...]
    payload: pa.Schema | Callable[[int], pa.Schema]
    prepare: Prepare
    finish: Finish
    encode: Encode = from_prepared
    inputs: Callable[[Store], Mapping[str, str]] | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)
    imports: FeatureImport | None = None

    def run(self, context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
        """Bring the stage up to date, with the encoder or from imported features.

        Args:
            context: The asset's context, for its log.
            settings: All settings.
        """
        store = open_store(settings)
        if self.imports is not None and self.name in imported(settings):
            return import_features(context, settings, store, self.name, self.payload, self.imports)
        encoder, statistics = chosen_encoder(settings, self.role), ShardStatistics()
        inputs = self.inputs(store) if self.inputs else outputs(self.upstream[0].stage.open(store))
        payload = self.payload if isinstance(self.payload, pa.Schema) else self.payload(encoder.width())
        work = Work(encoder, self._sources(store), self.prepare, self.finish, self.encode)
        return run_stage(
            context,
            store,
            settings,
            store.stage(self.name, payload),
            inputs=inputs,
            fingerprint=self.fingerprint(settings),
            compute=partial(self._rows, context, settings, store, work, inputs, statistics),
            statistics=statistics,
        )

    def fingerprint(self, settings: Settings) -> Fingerprint:
        """Return what determines the rows besides their inputs, for rows that the encoder of the settings computes."""
        model = chosen_encoder(settings, self.role).identity()
        return Fingerprint(code=self.code, parameters=self.parameters, model=model)

    def payloads(self, settings: Settings, rows: Mapping[str, Mapping[str, Any] | None]) -> dict[str, Result]:
        """Compute the payload of videos that are in no store, all in this process. Nothing is stored.

        Args:
            settings: All settings. The stage's import, if there is one, takes no part: an imported file lists known videos.
            rows: Item -> the columns of `upstream`; None if the item has no row there.

        Returns:
            Item -> payload, the error for which it cannot be encoded, or the reason why there is nothing to encode.
        """
        spec = chosen_encoder(settings, self.role)
        preparation = cache(spec.preparation)  # made at the first call, because the role `text` has none
        items = [
            (
                item,
                prepare_row(
                    self.prepare,
                    lambda *elements: preparation()(*elements),
                    row,
                    absent=self.upstream[0].names[0],
                ),
            )
            for item, row in rows.items()
        ]
        wanted = any(isinstance(prepared, Prepared) for _, prepared in items)
        encoder = load(spec, devices_of(settings, spec)[0]) if wanted else None
        return dict(encode_prepared(Work(spec, (), self.prepare, self.finish, self.encode), encoder, items))

    def _sources(self, store: Store) -> tuple[Source, ...]:
        return tuple(
            Source(columns.stage.open(store).folder, columns.stage.payload, columns.names) for columns in self.upstream
        )

    def _rows(
        self,
        context: dg.AssetExecutionContext,
        settings: Settings,
        store: Store,
        work: Work,
        inputs: Mapping[str, str],
        statistics: ShardStatistics,
        todo: Sequence[str],
    ) -> Iterator[Row]:
        """Yield one row per item. An item without an upstream row gets a missing row, and no process is started for it."""
        available: set[str] = set()
        for columns in self.upstream:
            states = columns.stage.open(store).states()
            available.update(states.filter(states["status"] == "ok")["item"])
        for item in todo:
            if item not in available:
                yield Row.missing(item, inputs[item], f"no {self.upstream[0].names[0]}")
        blocks = blocks_of([item for item in todo if item in available], TEXTS if self.role == "text" else BLOCK)
        if not blocks:
            return
        self._warn_of_slow_work(context, settings, work, blocks)
        try:
            for block in self._encoded(settings, work, blocks):
                statistics.add(block.seconds)
                statistics.peak(block.peaks)
                for item, result in block.results:
                    if isinstance(result, Missing):
                        yield Row.missing(item, inputs[item], result.reason)
                    else:
                        yield row_of(item, inputs[item], result)
        finally:
            release(self.role)

    def _encoded(self, settings: Settings, work: Work, blocks: Sequence[Sequence[str]]) -> Iterator[EncodedBlock]:
        devices = devices_of(settings, work.encoder)[: len(blocks)]
        count, on_gpu = sum(map(len, blocks)), devices[0].startswith("cuda")
        workers = loader_count(settings, work.encoder, count, on_gpu=on_gpu)
        if len(devices) > 1:
            return encode_on_devices(devices, work, blocks, workers=workers)
        return encode_blocks(work, blocks, partial(load, work.encoder, devices[0]), device=devices[0], workers=workers)

    def _warn_of_slow_work(
        self, context: dg.AssetExecutionContext, settings: Settings, work: Work, blocks: Sequence[Sequence[str]]
    ) -> None:
        """Warn how long the work will take if the papers' models run on a CPU."""
        if work.encoder.profile != "paper" or devices_of(settings, work.encoder) != ["cpu"]:
            return
        count, length = sum(map(len, blocks)), {}
        if self.role == "text":  # the length of texts is estimated from the first block
            texts = [result.input for _, result in Blocks(work, blocks)[0].items if isinstance(result, Prepared)]
            length = {"text_tokens": expected_tokens(texts)} if texts else {}
        else:
            count *= settings.sampling.frames
        warn_of_cpu(context.log, self.name, work.encoder, count, **length)
