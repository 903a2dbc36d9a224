"""A model in a child process with an environment of its own: loaded once, then called with arrays."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import tempfile
import weakref
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from models.encoders.errors import EncoderError
from models.encoders.isolated.child.messages import pack, unpack

CHILD = Path(__file__).with_name("child")
LOADING, RUNNING = 1800.0, 600.0  # seconds that a child may take for loading its model, and for a batch


class IsolatedProcessFailed(RuntimeError):
    """The child process is gone or took too long (it was killed then). Not a fault of one input: the run stops."""


class IsolatedModel:
    """A model that another interpreter runs.

    Args:
        python: The interpreter of the model's environment.
        model: Which of the child's models: `lavis` or `laion-clap`.
        settings: What the child is told to load; JSON-able.
        loading, running: Seconds after which the child is killed.

    Raises:
        IsolatedProcessFailed: See there; the end of what the child wrote to its standard error is in the message.
        EncoderError: What the child raised, in words.
    """

    def __init__(
        self, python: Path, model: str, settings: dict[str, Any], *, loading: float = LOADING, running: float = RUNNING
    ):
        ours, theirs = socket.socketpair()
        # A child that is stopped takes no message either: a batch is more than the socket holds.
        limit = struct.pack("@ll", int(running), int(running % 1 * 1_000_000))
        for direction in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
            ours.setsockopt(socket.SOL_SOCKET, direction, limit)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115, it lives as long as the child
        # Nothing of this process's packages may reach the child's.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        with theirs:
            self._process = subprocess.Popen(
                [str(python), str(CHILD), model, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                env=environment,
            )
        self._connection = Connection(ours.detach())
        self._running = running
        self._name = model
        self._end = weakref.finalize(self, _ended, self._process, self._connection)
        self._exchange({"settings": settings}, {}, seconds=loading)

    def __call__(self, **arrays: np.ndarray) -> dict[str, np.ndarray]:
        """What the model makes of the arrays."""
        return self._exchange({}, arrays, seconds=self._running)

    def close(self) -> None:
        """End the child."""
        self._end()

    def _exchange(
        self, header: dict[str, Any], arrays: dict[str, np.ndarray], *, seconds: float
    ) -> dict[str, np.ndarray]:
        try:
            self._connection.send_bytes(pack(header, arrays))
            if not self._connection.poll(seconds):
                raise BlockingIOError
            header, arrays = unpack(self._connection.recv_bytes())
        except BlockingIOError as error:
            raise self._failed(f"gave no answer for {seconds:g} s and was killed") from error
        except (EOFError, OSError) as error:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(2)  # its exit code tells more than that it was killed here
            raise self._failed("ended without an answer") from error
        if "error" in header:
            if header["memory"]:
                raise MemoryError(f"{self._name}: {header['error']}")
            raise EncoderError(f"{self._name}: {header['error']}")
        return arrays

    def _failed(self, what: str) -> IsolatedProcessFailed:
        self.close()
        self._log.seek(max(0, self._log.seek(0, os.SEEK_END) - 2000))
        said = self._log.read().decode(errors="replace").strip()
        code = self._process.returncode
        return IsolatedProcessFailed(f"the process of {self._name} {what} (exit code {code}); it said last: {said}")


def _ended(process: subprocess.Popen, connection: Connection) -> None:
    process.kill()
    connection.close()
    process.wait()
