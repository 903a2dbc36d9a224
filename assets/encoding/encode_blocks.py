"""Encode blocks of videos on one device or several; each failure is kept with its own row.

With several GPUs each device has a process that loads the model once and encodes its share; results come back in order.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import torch

from assets.encoding.bisect_failures import encode_or_bisect, without_traceback
from assets.encoding.encoder_loader import Missing, Prepared, Work, prepared_blocks
from assets.engine.decoding_workers import sendable
from models.encoders import EncoderError

BLOCK = 32  # videos that are read, prepared and encoded together
_AHEAD = 4  # encoded blocks that a device may be ahead of the block that is read next

# A row's payload, the error that the row becomes, or why it is missing.
Result = Mapping[str, object] | EncoderError | Missing


class EncodedBlock(NamedTuple):
    """A block of videos after the encoder.

    Attributes:
        results: (item, result) pairs in order.
        seconds: Time by step: `decode` (spent in preparing, by all workers), `wait` (how long the device waited for it),
            `load`, `encode`.
        peaks: The device's memory and utilisation at their highest, where it has such counters.
    """

    results: list[tuple[str, Result]]
    seconds: dict[str, float]
    peaks: dict[str, float]


class DeviceWorkerDied(RuntimeError):
    """A device's process ended without an error of its own (killed, or a fault in native code). Stored rows stay."""


def blocks_of(items: Sequence[str], size: int = BLOCK) -> list[Sequence[str]]:
    """Return the items in blocks of at most `size`, in order."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def encode_blocks(
    work: Work,
    blocks: Sequence[Sequence[str]],
    load: Callable[[], Any],
    *,
    device: str,
    workers: int,
) -> Iterator[EncodedBlock]:
    """Encode blocks on one device.

    Args:
        work: The encoder, and what is done before and after it.
        blocks: Items in blocks.
        load: Returns the encoder; called when the first block that needs it is ready, if any does.
        device: Where the encoder runs.
        workers: Processes that prepare ahead of the encoder.

    Yields:
        The blocks in order.
    """
    on_gpu = device.startswith("cuda")
    if on_gpu:
        # The thread that pins memory uses the current device: without this, every process would also take memory of the
        # first card, and could not work where that card belongs to somebody else.
        torch.cuda.set_device(torch.device(device).index or 0)
    encoder = None
    ahead = prepared_blocks(work, blocks, workers=workers, pinned=on_gpu)
    while True:
        seconds, started = {}, time.monotonic()
        block = next(ahead, None)
        if block is None:
            return
        seconds["decode"] = block.seconds
        if workers:
            seconds["wait"] = time.monotonic() - started
        ready = [(item, prepared) for item, prepared in block.items if isinstance(prepared, Prepared)]
        if ready and encoder is None:
            started = time.monotonic()
            encoder = load()
            seconds["load"] = time.monotonic() - started
        started = time.monotonic()
        results: dict[str, Any] = dict(block.items)
        outputs = encode_or_bisect(partial(work.encode, encoder), [prepared.given for _, prepared in ready])
        for (item, prepared), output in zip(ready, outputs, strict=True):
            results[item] = _finished(work, output, prepared.note)
        seconds["encode"] = time.monotonic() - started
        yield EncodedBlock(list(results.items()), seconds, device_use(device) if on_gpu else {})


def _finished(work: Work, output: Any, note: Any) -> Result:
    if isinstance(output, EncoderError):
        return output
    try:
        return work.finish(output, note)
    except EncoderError as error:
        return without_traceback(error)


def device_use(device: str) -> dict[str, Any]:
    """Return a GPU's highest memory use since the last call, in MiB, and its utilisation in percent where it is known."""
    found = {"gpu_memory_mb": round(torch.cuda.max_memory_allocated(device) / 2**20)}
    torch.cuda.reset_peak_memory_stats(device)
    # no management library, or a card without the counter: no reason to stop a run
    with contextlib.suppress(Exception):
        found["gpu_utilisation"] = torch.cuda.utilization(device)
    return found


def encode_on_devices(
    devices: Sequence[str], work: Work, blocks: Sequence[Sequence[str]], *, workers: int
) -> Iterator[EncodedBlock]:
    """Encode blocks as `encode_blocks` does, over several devices: block b on device b modulo their number.

    Args:
        devices: One process is started per device.
        work: The encoder, and what is done before and after it.
        blocks: Items in blocks.
        workers: Processes that prepare ahead, for all devices together; each device has at least one, or none if 0.

    Raises:
        DeviceWorkerDied: A device's process is gone.
        Exception: An error that a device's process raised.
    """
    # spawn: a forked child can't use CUDA
    context = multiprocessing.get_context("spawn")
    each = max(1, workers // len(devices)) if workers else 0
    started = []
    try:
        for place, device in enumerate(devices):
            results, theirs = context.Pipe(duplex=False)
            process = context.Process(
                target=_serve,
                args=(work, blocks[place :: len(devices)], device, each, theirs),
                name=f"reelcast-{work.encoder.role}-{device}",
            )
            process.start()
            theirs.close()  # so that the end of the process is the end of its pipe, also amid a message
            started.append((results, process))
        for number in range(len(blocks)):
            yield _received(*started[number % len(devices)])
    finally:
        for results, process in started:
            process.terminate()
            results.close()
        for _, process in started:
            process.join()


def _received(results: Connection, process: Any) -> EncodedBlock:
    try:
        found = results.recv()
    except (EOFError, OSError):
        process.join()
        raise DeviceWorkerDied(
            f"{process.name} ended with exit code {process.exitcode} before its work was done; "
            "what it had encoded is stored, and the next run goes on from there"
        ) from None
    if isinstance(found, Exception):
        raise found
    return found


def _serve(work: Work, blocks: Sequence[Sequence[str]], device: str, workers: int, results: Connection) -> None:
    """Encode a device's blocks and send them: the main function of its process."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    held: queue.Queue = queue.Queue(_AHEAD)
    sender = threading.Thread(target=_send, args=(held, results), daemon=True)
    sender.start()
    try:
        for block in encode_blocks(work, blocks, partial(work.encoder.load, device), device=device, workers=workers):
            held.put(block)
    except Exception as error:
        held.put(sendable(error))
    held.put(None)
    sender.join()


def _send(held: queue.Queue, results: Connection) -> None:
    """Send results while the device works on; end the process if the run that reads them is gone."""
    try:
        while (message := held.get()) is not None:
            results.send(message)
    except OSError:
        os._exit(1)
