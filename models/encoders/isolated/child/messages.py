"""Messages between the project and the child process: a JSON header and named arrays. Nothing is pickled."""

import io
import json

import numpy as np


def pack(header, arrays):
    """Return a message as bytes.

    Args:
        header: A JSON-able dict.
        arrays: Arrays of numbers by name.

    Example:
        >>> unpack(pack({"seconds": 2}, {}))
        ({'seconds': 2}, {})
    """
    buffer = io.BytesIO()
    np.savez(buffer, __header__=np.frombuffer(json.dumps(header).encode(), dtype=np.uint8), **arrays)
    return buffer.getvalue()


def unpack(message):
    """Return header and arrays of a message."""
    with np.load(io.BytesIO(message), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return json.loads(arrays.pop("__header__").tobytes()), arrays
