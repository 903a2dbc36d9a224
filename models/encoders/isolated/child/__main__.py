"""The child's main program, `python child MODEL DESCRIPTOR`: load a model, then answer calls until the socket is closed."""

import os
import select
import sys
import threading
import traceback
from multiprocessing.connection import Connection

from memory import lacks_memory
from messages import pack, unpack


def loaded(name, settings):
    """Return the model, a callable that takes and returns named arrays.

    Args:
        name: `lavis` or `laion-clap`.
        settings: Keyword arguments of the model's `load`.
    """
    if name == "lavis":
        from lavis_blip2 import load
    elif name == "laion-clap":
        from laion_clap_audio import load
    else:
        raise ValueError(f"model must be one of lavis, laion-clap, not {name!r}")
    return load(**settings)


def end_with(connection):
    """End this process when the other side closes the connection.

    A thread runs this function: a model that hangs reads no message, so it would outlive a run that was killed.
    """
    closed = select.poll()
    closed.register(connection.fileno(), 0)  # no event mask: only the end of the connection is reported
    closed.poll()
    os._exit(1)


def main():
    """Load the model at the first message and answer all further ones."""
    name, descriptor = sys.argv[1:]
    connection = Connection(int(descriptor))
    threading.Thread(target=end_with, args=(connection,), daemon=True).start()
    model = None
    while True:
        try:
            header, arrays = unpack(connection.recv_bytes())
        except EOFError:
            return
        try:
            if model is None:
                model, answer = loaded(name, header["settings"]), {}
            else:
                answer = model(**arrays)
            reply = pack({}, answer)
        except Exception as error:
            traceback.print_exc()
            memory = (
                isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or lacks_memory(str(error))
            )
            if memory and "torch" in sys.modules and sys.modules["torch"].cuda.is_available():
                error.__traceback__ = None  # it references the tensors that must be freed
                sys.modules["torch"].cuda.empty_cache()
            reply = pack({"error": f"{type(error).__name__}: {error}", "memory": memory}, {})
        connection.send_bytes(reply)


if __name__ == "__main__":
    main()
