"""`python child MODEL DESCRIPTOR`: load a model, then answer calls on a socket until the other side is gone."""

import os
import select
import sys
import threading
import traceback
from multiprocessing.connection import Connection

from memory import lacks_memory
from messages import pack, unpack


def loaded(name, settings):
    """The model: a callable from named arrays to named arrays."""
    if name == "lavis":
        from lavis_blip2 import load
    elif name == "laion-clap":
        from laion_clap_audio import load
    else:
        raise ValueError(f"no model is named {name!r}; there are lavis, laion-clap")
    return load(**settings)


def end_with(connection):
    """A model that hangs reads no message: without this it would outlive a run that was killed."""
    hung_up = select.poll()
    hung_up.register(connection.fileno(), 0)  # of no event but the end
    hung_up.poll()
    os._exit(1)


def main():
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
                error.__traceback__ = None  # it holds on to the tensors that must go
                sys.modules["torch"].cuda.empty_cache()
            reply = pack({"error": f"{type(error).__name__}: {error}", "memory": memory}, {})
        connection.send_bytes(reply)


if __name__ == "__main__":
    main()
