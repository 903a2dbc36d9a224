"""Errors whose message a command shows to a person."""


class WrongUse(ValueError):
    """An argument that a command refuses; the message says what is allowed."""


class RunFailed(RuntimeError):
    """A run of the graph failed; the message says where, and what to do."""
