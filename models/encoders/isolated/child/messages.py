"""Messages between the project and a model in another environment: a JSON header and named arrays, nothing pickled."""

import io
import json

import numpy as np


def pack(header, arrays):
    """A message as bytes. header: JSON-able dict; arrays: name -> array of numbers."""
    buffer = io.BytesIO()
    np.savez(buffer, __header__=np.frombuffer(json.dumps(header).encode(), dtype=np.uint8), **arrays)
    return buffer.getvalue()


def unpack(message):
    """(header, arrays) of a message."""
    with np.load(io.BytesIO(message), allow_pickle=False) as found:
        arrays = {name: found[name] for name in found.files}
    return json.loads(arrays.pop("__header__").tobytes()), arrays
