"""Rows of a stage, read from the store, decoded and prepared for a model: in worker processes, ahead of the device.

PyTorch's DataLoader keeps a bounded number of blocks ready, in order, in shared and (for a GPU) pinned memory. Imports
stay light: a worker pays for them when it starts.
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

from models import encoders
from models.encoders import EncoderError
from storage.stage import Stage

AHEAD = 2  # blocks a worker process keeps ready
_STUCK = 600  # seconds without a block after which the loading is given up


@dataclass(frozen=True)
class Prepared:
    """What an encoder takes of one video, and what `Work.finish` is told beside its output."""

    given: Any
    note: Any


@dataclass(frozen=True)
class PreparedBlock:
    """A block's items in order, and the seconds that preparing them took.

    Of each item: its id, and what was prepared; or the error that its row becomes; or None: there is no row upstream.
    """

    items: list[tuple[str, Prepared | EncoderError | None]]
    seconds: float

    def pin_memory(self) -> PreparedBlock:
        """The block with its tensors in pinned memory (the DataLoader's thread calls this)."""
        return PreparedBlock([(item, _pinned(found)) for item, found in self.items], self.seconds)


def _pinned(found: Prepared | EncoderError | None) -> Prepared | EncoderError | None:
    if isinstance(found, Prepared) and isinstance(found.given, torch.Tensor):
        return Prepared(found.given.pin_memory(), found.note)
    return found


@dataclass(frozen=True)
class Work:
    """What one stage makes of another's rows with an encoder. Picklable: any process can do it.

    Attributes:
        role, profile, options: What `models.encoders.load` is told, but for the device.
        folder, payload: The upstream stage; `columns`: those that are read of it.
        prepare: (the encoder's preparation, a row's columns) -> (what the encoder takes, a note for `finish`).
        finish: (the encoder's output, the note) -> the row's payload; an EncoderError is the row's failure.
    """

    role: encoders.Role
    profile: encoders.Profile
    options: Mapping[str, Any]
    folder: Path
    payload: pa.Schema
    columns: tuple[str, ...]
    prepare: Callable[[Callable[..., Any], Mapping[str, Any]], tuple[Any, Any]]
    finish: Callable[[Any, Any], Mapping[str, object]]


class Blocks(Dataset):
    """Blocks of items by number: what was prepared of each, and the seconds that it took."""

    def __init__(self, work: Work, blocks: Sequence[Sequence[str]]):
        self.work = work
        self.blocks = blocks

    @cached_property
    def _stage(self) -> Stage:
        return Stage(self.work.folder, self.work.payload)

    @cached_property
    def _preparation(self) -> Callable[..., Any]:
        return encoders.preparation(self.work.role, self.work.profile, **self.work.options)

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, number: int) -> PreparedBlock:
        started = time.monotonic()
        items = self.blocks[number]
        table = self._stage.read(items=items, columns=self.work.columns)
        rows = {row["item"]: row for row in table.to_pylist()}
        prepared = [(item, self._prepared(rows[item]) if item in rows else None) for item in items]
        return PreparedBlock(prepared, time.monotonic() - started)

    def _prepared(self, row: Mapping[str, Any]) -> Prepared | EncoderError:
        try:
            return Prepared(*self.work.prepare(self._preparation, row))
        except EncoderError as error:
            return error


def prepared_blocks(
    work: Work, blocks: Sequence[Sequence[str]], *, workers: int, pinned: bool = False
) -> Iterator[PreparedBlock]:
    """The blocks in order.

    Args:
        workers: Processes that prepare ahead, at most one a block; 0 prepares in this one, when a block is asked for.
        pinned: Whether tensors are put into pinned memory, from which a GPU copies while it computes.
    """
    workers = min(workers, len(blocks))
    ahead = {"prefetch_factor": AHEAD, "multiprocessing_context": "spawn", "timeout": _STUCK} if workers else {}
    yield from DataLoader(
        Blocks(work, blocks), batch_size=None, collate_fn=_as_it_is, num_workers=workers, pin_memory=pinned, **ahead
    )


def _as_it_is(block: PreparedBlock) -> PreparedBlock:
    return block
