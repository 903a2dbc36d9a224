"""Errors whose message a command shows to a person."""


class WrongUse(ValueError):
    """An argument that a command refuses; the message says what is allowed."""


class RunFailed(RuntimeError):
    """A run of the graph failed; the message says where, and what to do."""


def is_readable(error: Exception) -> bool:
    """Return whether an error's message is meant for a person. The classes are imported here, to keep `--help` fast."""
    from assets.engine.user_errors import MENDABLE
    from pipeline.settings import InvalidSettings

    return isinstance(error, (WrongUse, RunFailed, InvalidSettings, *MENDABLE))
