"""What can go wrong in an encoder, as data that a pipeline can keep and show."""


class EncoderError(Exception):
    """An encoder that can't give a usable result: wrong input, or an output that is not finite."""


class CheckpointError(EncoderError):
    """A model's files are not there, or are not those of the model; the message says how to get them."""
