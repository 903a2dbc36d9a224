"""Isolation of bad inputs: an input that can't be encoded fails only its own row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from models.encoders import EncoderError

Input = TypeVar("Input")
Output = TypeVar("Output")


def encode_or_bisect(
    encode: Callable[[Sequence[Input]], Sequence[Output]], inputs: Sequence[Input]
) -> list[Output | EncoderError]:
    """Encode all inputs; an input that can't be encoded gets its error in place of a result.

    An encoder's error concerns its whole call. So the inputs of a failed call are halved until each bad input is alone. One
    bad input among n costs about 2 log2 n further calls.

    Args:
        encode: Encodes several inputs, or raises an EncoderError for all of them.
        inputs: The inputs.

    Returns:
        One result or error per input, in order.

    Example:
        >>> def encode(texts):
        ...     if "" in texts:
        ...         raise EncoderError("empty text")
        ...     return [len(text) for text in texts]
        >>> encode_or_bisect(encode, ["one", "", "three"])
        [3, EncoderError('empty text'), 5]
    """
    if not len(inputs):
        return []
    try:
        return list(encode(inputs))
    except EncoderError as error:
        if len(inputs) == 1:
            return [without_traceback(error)]
    half = len(inputs) // 2
    return encode_or_bisect(encode, inputs[:half]) + encode_or_bisect(encode, inputs[half:])


def without_traceback(error: EncoderError) -> EncoderError:
    """Return the error without its traceback, which would keep the failed call's tensors alive until the shard is stored."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
