"""Errors of encoders. A pipeline can store them with the failed input."""


class EncoderError(Exception):
    """The encoder has no usable result: the input is invalid, or the output is not finite."""


class CheckpointError(EncoderError):
    """A model's files are missing or belong to another model; the message says how to get the files."""
