"""Read rows of earlier stages, decode them and prepare them for a model: in worker processes, ahead of the device.

PyTorch's DataLoader keeps a bounded number of blocks ready, in order, in shared and (for a GPU) pinned memory. Imports
stay light: every worker process pays for them when it starts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from torch.utils.data import DataLoader, Dataset

from assets.encoding.encoder_spec import EncoderSpec
from models.encoders import EncoderError
from storage.stage import Stage

AHEAD = 2  # blocks that a worker process keeps ready
_STUCK = 600  # seconds without a block after which loading is given up


@dataclass(frozen=True)
class Prepared:
    """One video's encoder input, plus a note passed on to `Work.finish`."""

    given: Any
    note: Any = None


@dataclass(frozen=True)
class Missing:
    """There is nothing to encode; `reason` says what was not there ("empty title")."""

    reason: str


Preparation = Callable[..., Any]  # an encoder's `prepare`: elements -> encoder input
Prepare = Callable[[Preparation, Mapping[str, Any]], Prepared | Missing]
Encode = Callable[[Any, Sequence[Any]], Sequence[Any]]
Finish = Callable[[Any, Any], Mapping[str, object] | Missing]


def from_prepared(encoder: Any, inputs: Sequence[Any]) -> Sequence[Any]:
    """Encode what the encoder's own preparation made of each video: the default of `Work.encode`."""
    return encoder.from_prepared(inputs)


@dataclass(frozen=True)
class Source:
    """An earlier stage in the store, and the columns that are read of it."""

    folder: Path
    payload: pa.Schema
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Work:
    """What a stage does with an encoder. Picklable: any process can do it.

    Attributes:
        encoder: Which encoder.
        sources: Earlier stages whose columns make up an item's row; a stage without a row for the item adds none.
        prepare: (the encoder's preparation, an item's row) -> the encoder's input, or why there is none.
        encode: (the encoder, several inputs) -> one output per input.
        finish: (an output, the input's note) -> the payload of the item's row, or why there is none. An EncoderError makes
            the row a failed one.
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
        items: (item, result) pairs in order. `result` is the prepared input, an EncoderError, or why there is no input.
        seconds: How long preparing took.
    """

    items: list[tuple[str, Prepared | EncoderError | Missing]]
    seconds: float

    def pin_memory(self) -> PreparedBlock:
        """Return the block with its tensors in pinned memory (the DataLoader's thread calls this)."""
        return PreparedBlock([(item, _pinned(result)) for item, result in self.items], self.seconds)


def _pinned(result: Prepared | EncoderError | Missing) -> Prepared | EncoderError | Missing:
    if isinstance(result, Prepared) and isinstance(result.given, torch.Tensor):
        return Prepared(result.given.pin_memory(), result.note)
    return result


class Blocks(Dataset):
    """Blocks of items by number, each prepared when it is asked for."""

    def __init__(self, work: Work, blocks: Sequence[Sequence[str]]):
        self.work = work
        self.blocks = blocks

    @cached_property
    def _stages(self) -> list[tuple[Stage, tuple[str, ...]]]:
        return [(Stage(source.folder, source.payload), source.columns) for source in self.work.sources]

    @cached_property
    def _preparation(self) -> Preparation:
        return self.work.encoder.preparation()

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, number: int) -> PreparedBlock:
        started = time.monotonic()
        rows: dict[str, dict[str, Any]] = {}
        for stage, columns in self._stages:
            for row in stage.read(items=self.blocks[number], columns=columns).to_pylist():
                rows.setdefault(row["item"], {}).update(row)
        prepared = [(item, self._prepared(rows.get(item))) for item in self.blocks[number]]
        return PreparedBlock(prepared, time.monotonic() - started)

    def _prepared(self, row: Mapping[str, Any] | None) -> Prepared | EncoderError | Missing:
        if row is None:
            return Missing(f"no {self.work.sources[0].columns[0]}")
        try:
            return self.work.prepare(self._prepare_elements, row)
        except EncoderError as error:
            return error

    def _prepare_elements(self, *elements: Any) -> Any:
        """Call the encoder's preparation, which is made at the first call: texts need none."""
        return self._preparation(*elements)


def prepared_blocks(
    work: Work, blocks: Sequence[Sequence[str]], *, workers: int, pinned: bool = False
) -> Iterator[PreparedBlock]:
    """Yield the blocks in order.

    Args:
        work: What is read and how it is prepared.
        blocks: Items in blocks.
        workers: Processes that prepare ahead, at most one per block; 0 prepares in this process, when a block is asked for.
        pinned: Whether tensors are put into pinned memory, from which a GPU copies while it computes.
    """
    workers = min(workers, len(blocks))
    ahead = {"prefetch_factor": AHEAD, "multiprocessing_context": "spawn", "timeout": _STUCK} if workers else {}
    yield from DataLoader(
        Blocks(work, blocks), batch_size=None, collate_fn=_unchanged, num_workers=workers, pin_memory=pinned, **ahead
    )


def _unchanged(block: PreparedBlock) -> PreparedBlock:
    return block
