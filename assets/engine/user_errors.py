"""Errors that a person can mend, and how a step ends with one: with a sentence instead of a traceback."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import dagster as dg

from assets.engine.decoding_workers import WorkersCannotStart
from assets.engine.dry_run import is_dry
from models.encoders.errors import EncoderError
from storage.datasets.errors import DatasetError
from storage.durable import StoreError

P, R = ParamSpec("P"), TypeVar("R")


class UserError(RuntimeError):
    """A wrong input or setting that stops a run; the message says what is wrong and what to do."""


MENDABLE = (UserError, WorkersCannotStart, DatasetError, StoreError, EncoderError)


def told_to_the_user(function: Callable[P, R]) -> Callable[P, R]:
    """Return a step's function that fails with the sentence of a mendable error, first in Dagster's UI.

    Other errors keep their traceback: somebody has to mend the code. In a dry run every error stays what it is.

    Args:
        function: An asset or a check.
    """

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except MENDABLE as error:
            if is_dry():
                raise
            raise dg.Failure(description=str(error), allow_retries=False) from None

    return run
