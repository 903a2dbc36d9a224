"""Preparation of encoder inputs in worker processes, ahead of the device: rows of earlier stages are read and decoded.

PyTorch's DataLoader keeps a bounded number of blocks ready, in order, in shared memory and (for a GPU) in pinned memory. This
module imports little, because every worker process imports it when it starts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import torch
from torch.utils.data import DataLoader, Dataset

from assets.encoding.encoder_spec import EncoderSpec
from models.encoders import EncoderError
from storage.stage import Stage

AHEAD = 2  # blocks that a worker process keeps ready
_STUCK = 600  # seconds without a block after which the run stops with an error


@dataclass(frozen=True)
class Prepared:
    """One video's encoder input, plus a note passed on to `Work.finish`."""

    input: Any
    note: Any = None


@dataclass(frozen=True)
class Missing:
    """A video without encoder input; `reason` says what is missing (for example "empty title")."""

    reason: str


Preparation = Callable[..., Any]  # an encoder's `prepare`: elements -> encoder input
Prepare = Callable[[Preparation, Mapping[str, Any]], Prepared | Missing]
Encode = Callable[[Any, Sequence[Any]], Sequence[Any]]
Finish = Callable[[Any, Any], Mapping[str, object] | Missing]


def from_prepared(encoder: Any, inputs: Sequence[Any]) -> Sequence[Any]:
    """Encode inputs that the encoder's own `prepare` returned; the default of `Work.encode`."""
    return encoder.from_prepared(inputs)


@dataclass(frozen=True)
class Source:
    """An earlier stage in the store.

    Attributes:
        folder: Folder of the stage.
        payload: All columns of the stage.
        columns: The columns that are read.
    """

    folder: Path
    payload: pa.Schema
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Work:
    """The work of a stage with an encoder. It is picklable, so any process can do it.

    Attributes:
        encoder: The encoder.
        sources: Earlier stages whose columns make up an item's row. A stage without a row for the item adds no columns.
        prepare: (the encoder's preparation, an item's row) -> the encoder's input, or the reason why there is none.
        finish: (an output, the input's note) -> the payload of the item's row, or the reason why there is none. If it raises
            an EncoderError, the row is a failed row.
        encode: (the encoder, several inputs) -> one output per input.
    """

    encoder: EncoderSpec
    sources: tuple[Source, ...]
    prepare: Prepare
    finish: Finish
    encode: Encode = from_prepared


@dataclass(frozen=True)
class PreparedBlock:
    """A block of videos.

    Attributes:
        items: (item, result) pairs in order. `result` is the prepared input, an EncoderError, or the reason why there is no
            input.
        seconds: Duration of the preparation.
    """

    items: list[tuple[str, Prepared | EncoderError | Missing]]
    seconds: float

    def pin_memory(self) -> PreparedBlock:
        """Return the block with its tensors in pinned memory. The DataLoader's thread calls this method."""
        return PreparedBlock([(item, _pinned(result)) for item, result in self.items], self.seconds)


def _pinned(result: Prepared | EncoderError | Missing) -> Prepared | EncoderError | Missing:
    if isinstance(result, Prepared) and isinstance(result.input, torch.Tensor):
        return Prepared(result.input.pin_memory(), result.note)
    return result


def prepare_row(
    prepare: Prepare, preparation: Preparation, row: Mapping[str, Any] | None, *, absent: str
) -> Prepared | EncoderError | Missing:
    """Prepare one video's row.

    Args:
        prepare: See `Work`.
        preparation: The encoder's preparation.
        row: The columns of the earlier stages; None if no stage has a row.
        absent: Name of the column that a video without a row lacks.

    Returns:
        The prepared input, the error for which it cannot be prepared, or the reason why there is no input.
    """
    if row is None:
        return Missing(f"no {absent}")
    try:
        return prepare(preparation, row)
    except EncoderError as error:
        return error


class Blocks(Dataset):
    """Blocks of items by number. A block is prepared when it is indexed."""

    def __init__(self, work: Work, blocks: Sequence[Sequence[str]]):
        """Take the work and the items in blocks. Nothing is read yet."""
        self.work = work
        self.blocks = blocks

    @cached_property
    def _stages(self) -> list[tuple[Stage, list[pl.DataFrame], tuple[str, ...]]]:
        """Each stage, where its rows of each block are, and the columns to read. States are searched once, not per block."""
        sizes = [len(block) for block in self.blocks]
        number = pl.Series("block", np.repeat(np.arange(len(sizes)), sizes), dtype=pl.Int64)
        items = pl.DataFrame({"item": [item for block in self.blocks for item in block], "block": number})
        stages = []
        for source in self.work.sources:
            stage = Stage(source.folder, source.payload)
            places = items.join(stage.places(), on="item", how="inner", maintain_order="left")
            ends = np.searchsorted(places["block"].to_numpy(), np.arange(len(sizes)), side="right").tolist()
            blocks = [places[start:end] for start, end in pairwise([0, *ends])]
            stages.append((stage, blocks, source.columns))
        return stages

    @cached_property
    def _preparation(self) -> Preparation:
        return self.work.encoder.preparation()

    def __len__(self) -> int:
        """Return the number of blocks."""
        return len(self.blocks)

    def __getitem__(self, number: int) -> PreparedBlock:
        """Read and prepare a block."""
        started = time.monotonic()
        rows: dict[str, dict[str, Any]] = {}
        for stage, places, columns in self._stages:
            for row in stage.read_places(places[number], columns).to_pylist():
                rows.setdefault(row["item"], {}).update(row)
        prepare = partial(
            prepare_row, self.work.prepare, self._prepare_elements, absent=self.work.sources[0].columns[0]
        )
        prepared = [(item, prepare(rows.get(item))) for item in self.blocks[number]]
        return PreparedBlock(prepared, time.monotonic() - started)

    def _prepare_elements(self, *elements: Any) -> Any:
        """Call the encoder's preparation. It is created at the first call, because the role `text` has none."""
        return self._preparation(*elements)


def prepared_blocks(
    work: Work, blocks: Sequence[Sequence[str]], *, workers: int, pinned: bool = False
) -> Iterator[PreparedBlock]:
    """Read and prepare blocks.

    Args:
        work: What is read and how it is prepared.
        blocks: Items in blocks.
        workers: Processes that prepare ahead, at most one per block. With 0, this process prepares each block on demand.
        pinned: Whether tensors are put into pinned memory, from which a GPU copies while it computes.

    Yields:
        The blocks in order.
    """
    workers = min(workers, len(blocks))
    ahead = {"prefetch_factor": AHEAD, "multiprocessing_context": "spawn", "timeout": _STUCK} if workers else {}
    yield from DataLoader(
        Blocks(work, blocks), batch_size=None, collate_fn=_unchanged, num_workers=workers, pin_memory=pinned, **ahead
    )


def _unchanged(block: PreparedBlock) -> PreparedBlock:
    return block
