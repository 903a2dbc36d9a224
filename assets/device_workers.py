"""One process a GPU: each loads the model once and encodes its share of the blocks; results come back in order."""

from __future__ import annotations

import logging
import multiprocessing
import pickle
import queue
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from assets.encoded import EncodedBlock, encoded_blocks
from assets.prepared import Work
from models import encoders

_HELD = 4  # encoded blocks that a device may be ahead of the one whose turn it is
_PATIENCE = 2.0  # seconds after which it is looked whether the other side is still there


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
    results = [context.Queue(_HELD) for _ in devices]
    processes = [
        context.Process(
            target=_serve,
            args=(work, blocks[place :: len(devices)], device, each, results[place]),
            name=f"reelcast-{work.role}-{device}",
        )
        for place, device in enumerate(devices)
    ]
    for process in processes:
        process.start()
    try:
        for number in range(len(blocks)):
            place = number % len(devices)
            yield _received(results[place], processes[place])
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


def _received(results: multiprocessing.Queue, process: Any) -> EncodedBlock:
    while True:
        alive = process.is_alive()  # asked first: what a process sent before it ended is still in the queue
        try:
            found = results.get(timeout=_PATIENCE)
        except queue.Empty:
            if alive:
                continue
            raise DeviceWorkerDied(
                f"{process.name} ended with exit code {process.exitcode} before its work was done; "
                "what it had encoded is stored, and the next run goes on from there"
            ) from None
        if isinstance(found, bytes):
            raise pickle.loads(found)
        return found


def _serve(work: Work, blocks: Sequence[Sequence[str]], device: str, workers: int, results: Any) -> None:
    """What a device's process does."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    load = partial(_load, work.role, work.profile, device, work.options)
    try:
        for block in encoded_blocks(work, blocks, load, device=device, workers=workers):
            _send(results, block)
    except Exception as error:
        _send(results, _packed(error))
    results.close()
    results.join_thread()


def _load(role: encoders.Role, profile: encoders.Profile, device: str, options: Mapping[str, Any]) -> Any:
    return encoders.load(role, profile, device=device, **options)


def _send(results: Any, message: EncodedBlock | bytes) -> None:
    """Wait for a place in the queue, but not for a parent that was killed."""
    while multiprocessing.parent_process().is_alive():
        try:
            results.put(message, timeout=_PATIENCE)
            return
        except queue.Full:
            continue
    raise SystemExit(1)


def _packed(error: Exception) -> bytes:
    """An exception as bytes; one that can't be sent, in words."""
    try:
        packed = pickle.dumps(error)
        pickle.loads(packed)
        return packed
    except Exception:
        return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))
