"""Rows of a stage that an encoder fills: blocks prepared ahead, encoded across videos, each failure kept with its row."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

from assets.encoding.bisect_failures import outcomes, without_traceback
from assets.encoding.encoder_loader import Prepared, Work, prepared_blocks
from models.encoders import EncoderError, PreparingEncoder

BLOCK = 32  # videos that are read, prepared and encoded together

# Of each item: its payload, the error that its row becomes, or None: there is no row upstream.
Outcome = tuple[str, Mapping[str, object] | EncoderError | None]

EncodedBlock = tuple[list[Outcome], dict[str, dict[str, float]]]


def blocks_of(items: Sequence[str], size: int = BLOCK) -> list[Sequence[str]]:
    """The items in blocks of at most `size`, in order."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def encoded_blocks(
    work: Work,
    blocks: Sequence[Sequence[str]],
    load: Callable[[], PreparingEncoder],
    *,
    device: str,
    workers: int,
) -> Iterator[EncodedBlock]:
    """Encode blocks on one device.

    Args:
        load: Gives the encoder; called when the first block that needs it is there, if any does.
        device: Where the encoder runs.
        workers: Processes that prepare ahead of it.

    Yields:
        A block's outcomes in order, and its measures: `seconds` by step (`decode`: spent in preparing, by all workers;
        `wait`: how long the device waited for it; `load`; `encode`), `peaks` of the device's memory and use.
    """
    on_gpu = device.startswith("cuda")
    if on_gpu:
        # What names no device of its own goes to the current one, the thread that pins memory above all: without this every
        # process would also take memory of the first card, and could not work where that is another's alone.
        torch.cuda.set_device(torch.device(device).index or 0)
    encoder: PreparingEncoder | None = None
    ahead = prepared_blocks(work, blocks, workers=workers, pinned=on_gpu)
    while True:
        seconds, started = {}, time.monotonic()
        block = next(ahead, None)
        if block is None:
            return
        seconds["decode"] = block.seconds
        if workers:
            seconds["wait"] = time.monotonic() - started
        ready = [(item, found) for item, found in block.items if isinstance(found, Prepared)]
        if ready and encoder is None:
            started = time.monotonic()
            encoder = load()
            seconds["load"] = time.monotonic() - started
        started = time.monotonic()
        found = dict(block.items)
        outputs = outcomes(encoder.from_prepared, [prepared.given for _, prepared in ready]) if encoder else []
        for (item, prepared), output in zip(ready, outputs, strict=True):
            found[item] = _finished(work, output, prepared.note)
        seconds["encode"] = time.monotonic() - started
        yield list(found.items()), {"seconds": seconds, "peaks": device_use(device) if on_gpu else {}}


def _finished(work: Work, output: Any, note: Any) -> Mapping[str, object] | EncoderError:
    if isinstance(output, EncoderError):
        return output
    try:
        return work.finish(output, note)
    except EncoderError as error:
        return without_traceback(error)


def device_use(device: str) -> dict[str, Any]:
    """A GPU's memory at its highest since the last call, in MiB, and how busy it is, in percent, where that is known."""
    found = {"gpu_memory_mb": round(torch.cuda.max_memory_allocated(device) / 2**20)}
    torch.cuda.reset_peak_memory_stats(device)
    with contextlib.suppress(Exception):  # no management library, a card that doesn't tell: no reason to stop a run
        found["gpu_utilisation"] = torch.cuda.utilization(device)
    return found
