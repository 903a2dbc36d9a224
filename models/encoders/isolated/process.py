"""A model in a child process with an environment of its own; it is loaded once and then called with arrays."""

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
LOADING, RUNNING = 1800.0, 600.0  # largest time in seconds for loading the model, and for a batch


class IsolatedProcessFailed(RuntimeError):
    """The child process ended, or took too long and was killed. No single input is the cause, so the run stops."""


class IsolatedModel:
    """A model that another interpreter runs in a child process."""

    def __init__(
        self, python: Path, model: str, settings: dict[str, Any], *, loading: float = LOADING, running: float = RUNNING
    ):
        """Start the child process and load the model.

        Args:
            python: The interpreter of the model's environment.
            model: `lavis` or `laion-clap`.
            settings: Keyword arguments of the child's `load`; JSON-able.
            loading: Seconds for loading, after which the child is killed.
            running: Seconds per call, after which the child is killed.

        Raises:
            IsolatedProcessFailed: The child ended or took too long. The message has the end of the child's output.
            EncoderError: The child raised an error; the message holds its text.
            MemoryError: The child's memory ran out.
        """
        ours, theirs = socket.socketpair()
        # Sending needs a limit too: a batch is larger than the socket's buffer, and a stopped child reads nothing.
        limit = struct.pack("@ll", int(running), int(running % 1 * 1_000_000))
        for direction in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
            ours.setsockopt(socket.SOL_SOCKET, direction, limit)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115, it lives as long as the child
        # The child must not import this process's packages.
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
        """Call the model with named arrays and return its named arrays. Errors are those of `__init__`."""
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
                self._process.wait(2)  # the child's own exit code is more useful than that of the kill below
            raise self._failed("ended without an answer") from error
        if "error" in header:
            if header["memory"]:
                raise MemoryError(f"{self._name}: {header['error']}")
            raise EncoderError(f"{self._name}: {header['error']}")
        return arrays

    def _failed(self, what: str) -> IsolatedProcessFailed:
        self.close()
        self._log.seek(max(0, self._log.seek(0, os.SEEK_END) - 2000))
        output = self._log.read().decode(errors="replace").strip()
        code = self._process.returncode
        return IsolatedProcessFailed(
            f"the process of {self._name} {what} (exit code {code}); the end of its output: {output}"
        )


def _ended(process: subprocess.Popen, connection: Connection) -> None:
    process.kill()
    connection.close()
    process.wait()
