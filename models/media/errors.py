"""Kinds of errors in media files, as data that a pipeline can store, count and show."""

import os
from pathlib import Path
from typing import Literal, get_args

MediaErrorKind = Literal["empty_file", "not_media", "no_video", "truncated", "decode"]


class MediaError(Exception):
    r"""A media file that cannot be used.

    Attributes:
        kind: The kind of error:
            `empty_file`: The file has zero bytes.
            `not_media`: It is no container that may be read, or its data are in other files.
            `no_video`: The container has no video track that can be decoded.
            `truncated`: A known container was cut so early that its index is missing.
            `decode`: No frame or no sample of a track could be decoded.
        path: The file. Bytes of its name that are not UTF-8 are written as \xNN, so that the error can be stored as text.
        reason: Explanation for a person.
    """

    def __init__(self, kind: MediaErrorKind, path: str | Path, reason: str):
        """Make the error.

        Args:
            kind: One of `MediaErrorKind`.
            path: The file.
            reason: Explanation for a person.

        Raises:
            ValueError: The kind is unknown.
        """
        if kind not in get_args(MediaErrorKind):
            raise ValueError(f"kind must be one of {', '.join(get_args(MediaErrorKind))}, given {kind!r}")
        readable = os.fsencode(path).decode("utf-8", "backslashreplace")
        super().__init__(kind, readable, reason)  # all three, so that the exception survives pickling
        self.kind = kind
        self.path = readable
        self.reason = reason

    def __str__(self) -> str:
        """Return path, reason and kind as one line."""
        return f"{self.path}: {self.reason} ({self.kind})"
