"""One process a GPU: each loads the model once and encodes its share of the blocks; results come back in order."""

from __future__ import annotations

import logging
import multiprocessing
import os
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from assets.encoding.encode_blocks import EncodedBlock, encoded_blocks
from assets.encoding.encoder_loader import Work
from assets.engine.decoding_workers import sendable
from models import encoders

_HELD = 4  # encoded blocks that a device may be ahead of the one whose turn it is


class DeviceWorkerDied(RuntimeError):
    """A device's process ended without a word (killed, or a fault in native code). What was stored stays."""


def encoded_on(
    devices: Sequence[str], work: Work, blocks: Sequence[Sequence[str]], *, workers: int
) -> Iterator[EncodedBlock]:
    """As `encoded_blocks`, over several devices: block b on device b modulo their number.

    Args:
        workers: Processes that prepare ahead, for all devices together; each has at least one.

    Raises:
        DeviceWorkerDied: A device's process is gone.
        Exception: What a device's process raised.
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
                name=f"reelcast-{work.role}-{device}",
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
    """What a device's process does."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    load = partial(_load, work.role, work.profile, device, work.options)
    held: queue.Queue = queue.Queue(_HELD)
    sender = threading.Thread(target=_send, args=(held, results), daemon=True)
    sender.start()
    try:
        for block in encoded_blocks(work, blocks, load, device=device, workers=workers):
            held.put(block)
    except Exception as error:
        held.put(sendable(error))
    held.put(None)
    sender.join()


def _load(role: encoders.Role, profile: encoders.Profile, device: str, options: Mapping[str, Any]) -> Any:
    return encoders.load(role, profile, device=device, **options)


def _send(held: queue.Queue, results: Connection) -> None:
    """Send while the device works on; where the run that reads is gone, end."""
    try:
        while (message := held.get()) is not None:
            results.send(message)
    except OSError:
        os._exit(1)
