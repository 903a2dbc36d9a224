"""One bad input of a batch costs its own row: the others' results are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from models.encoders import EncoderError

Input = TypeVar("Input")
Output = TypeVar("Output")


def outcomes(
    encode: Callable[[Sequence[Input]], Sequence[Output]], inputs: Sequence[Input]
) -> list[Output | EncoderError]:
    """`encode` of all inputs, with the error in place of the result for those that it can't encode.

    An encoder's error is of the whole call. So the inputs of a call that failed are halved until the bad ones stand alone:
    one bad input of n costs some 2 log2 n further calls.
    """
    if not len(inputs):
        return []
    try:
        return list(encode(inputs))
    except EncoderError as error:
        if len(inputs) == 1:
            return [without_traceback(error)]
    half = len(inputs) // 2
    return outcomes(encode, inputs[:half]) + outcomes(encode, inputs[half:])


def without_traceback(error: EncoderError) -> EncoderError:
    """The error with its words alone: the calls that it came through hold on to their tensors, and it waits for its shard."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
