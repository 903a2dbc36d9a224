"""Encoding of blocks of videos on one or several devices. A video that can't be encoded fails only its own row.

With several GPUs, each device has its own process. The process loads the model once and encodes its share of the blocks.
Results come back in order.
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
_AHEAD = 4  # largest number of encoded blocks that wait in a device's process

# The payload of a row, the error of a failed row, or the reason of a missing row.
Result = Mapping[str, object] | EncoderError | Missing


class EncodedBlock(NamedTuple):
    """A block of videos after the encoder.

    Attributes:
        results: (item, result) pairs in order.
        seconds: Seconds by step: `decode` (preparing, summed over workers), `wait` (the device waited for prepared input),
            `load`, `encode`.
        peaks: Highest memory use and utilisation of a GPU; empty for a CPU.
    """

    results: list[tuple[str, Result]]
    seconds: dict[str, float]
    peaks: dict[str, float]


class DeviceWorkerDied(RuntimeError):
    """A device's process was killed or crashed in native code. Rows that are already stored are kept."""


def blocks_of(items: Sequence[str], size: int = BLOCK) -> list[Sequence[str]]:
    """Return the items in blocks of at most `size`, in order.

    Example:
        >>> blocks_of(["a", "b", "c"], 2)
        [['a', 'b'], ['c']]
    """
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
        work: The encoder, and the functions before and after it.
        blocks: Items in blocks.
        load: Returns the encoder. It is called once, when the first prepared input is ready, or never if there is none.
        device: PyTorch's name of the encoder's device.
        workers: Processes that prepare ahead of the encoder; 0 prepares in this process.

    Yields:
        The blocks in order.
    """
    on_gpu = device.startswith("cuda")
    if on_gpu:
        # The thread that pins memory uses the current device. Without this line, every process would also use memory of the
        # first card, and would fail if another user has reserved that card.
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
        if encoder is None and any(isinstance(prepared, Prepared) for _, prepared in block.items):
            started = time.monotonic()
            encoder = load()
            seconds["load"] = time.monotonic() - started
        started = time.monotonic()
        results = encode_prepared(work, encoder, block.items)
        seconds["encode"] = time.monotonic() - started
        yield EncodedBlock(results, seconds, device_use(device) if on_gpu else {})


def encode_prepared(
    work: Work, encoder: Any, items: Sequence[tuple[str, Prepared | EncoderError | Missing]]
) -> list[tuple[str, Result]]:
    """Encode the videos that have an input, together.

    Args:
        work: The encoder's functions before and after it.
        encoder: The loaded encoder; it may be None if no video has an input.
        items: (item, prepared input) pairs.

    Returns:
        (item, result) pairs in the same order.
    """
    ready = [(item, prepared) for item, prepared in items if isinstance(prepared, Prepared)]
    results: dict[str, Any] = dict(items)
    outputs = encode_or_bisect(partial(work.encode, encoder), [prepared.input for _, prepared in ready])
    for (item, prepared), output in zip(ready, outputs, strict=True):
        results[item] = _finish(work, output, prepared.note)
    return list(results.items())


def _finish(work: Work, output: Any, note: Any) -> Result:
    if isinstance(output, EncoderError):
        return output
    try:
        return work.finish(output, note)
    except EncoderError as error:
        return without_traceback(error)


def device_use(device: str) -> dict[str, Any]:
    """Return a GPU's highest memory use since the last call, in MiB, and its current utilisation in percent if known."""
    use = {"gpu_memory_mb": round(torch.cuda.max_memory_allocated(device) / 2**20)}
    torch.cuda.reset_peak_memory_stats(device)
    # The utilisation is optional: the management library may be missing, or the card may have no such counter.
    with contextlib.suppress(Exception):
        use["gpu_utilisation"] = torch.cuda.utilization(device)
    return use


def encode_on_devices(
    devices: Sequence[str], work: Work, blocks: Sequence[Sequence[str]], *, workers: int
) -> Iterator[EncodedBlock]:
    """Encode blocks on several devices, with one process per device. Block b runs on device b modulo their number.

    Args:
        devices: PyTorch's names of the devices.
        work: The encoder, and the functions before and after it.
        blocks: Items in blocks.
        workers: Processes that prepare ahead, for all devices together. Each device has at least one; with 0, each device's
            process prepares for itself.

    Yields:
        The blocks in order, as `encode_blocks` does.

    Raises:
        DeviceWorkerDied: A device's process was killed or crashed.
        Exception: The error that a device's process raised.
    """
    # spawn, because a forked child can't use CUDA
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
            theirs.close()  # so that the pipe ends when the process ends, even in the middle of a message
            started.append((results, process))
        for number in range(len(blocks)):
            yield _receive(*started[number % len(devices)])
    finally:
        for results, process in started:
            process.terminate()
            results.close()
        for _, process in started:
            process.join()


def _receive(results: Connection, process: Any) -> EncodedBlock:
    try:
        message = results.recv()
    except (EOFError, OSError):
        process.join()
        raise DeviceWorkerDied(
            f"{process.name} ended with exit code {process.exitcode} before its work was done; "
            "start the run again: stored rows are kept, and it continues with the remaining ones"
        ) from None
    if isinstance(message, Exception):
        raise message
    return message


def _serve(work: Work, blocks: Sequence[Sequence[str]], device: str, workers: int, results: Connection) -> None:
    """Encode a device's blocks and send the results; the main function of the device's process."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    waiting: queue.Queue = queue.Queue(_AHEAD)
    sender = threading.Thread(target=_send, args=(waiting, results), daemon=True)
    sender.start()
    try:
        for block in encode_blocks(work, blocks, partial(work.encoder.load, device), device=device, workers=workers):
            waiting.put(block)
    except Exception as error:
        waiting.put(sendable(error))
    waiting.put(None)
    sender.join()


def _send(waiting: queue.Queue, results: Connection) -> None:
    """Send results while the device encodes the next ones; end this process if the run that reads them has ended."""
    try:
        while (message := waiting.get()) is not None:
            results.send(message)
    except OSError:
        os._exit(1)
