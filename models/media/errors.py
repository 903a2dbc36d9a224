"""What can be wrong with a media file, as data that a pipeline can keep, count and show."""

import os
from pathlib import Path
from typing import Literal, get_args

MediaErrorKind = Literal["empty_file", "not_media", "no_video", "truncated", "decode"]


class MediaError(Exception):
    """A file that can't be used, and why.

    Args:
        kind: `empty_file`: zero bytes. `not_media`: no container that may be read, or one whose data lie in other files.
            `no_video`: a container without a video track that can be decoded. `truncated`: a known container cut so early
            that its index is missing. `decode`: a track from which not one frame or sample could be decoded.
        path: The file. Bytes of its name that are no UTF-8 are kept as \\xNN, so that the error can be stored.
        reason: What was found, in words for a person.
    """

    def __init__(self, kind: MediaErrorKind, path: str | Path, reason: str):
        if kind not in get_args(MediaErrorKind):
            raise ValueError(f"kind must be one of {', '.join(get_args(MediaErrorKind))}, not {kind!r}")
        readable = os.fsencode(path).decode("utf-8", "backslashreplace")
        super().__init__(kind, readable, reason)  # all three, so that the exception survives pickling
        self.kind = kind
        self.path = readable
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason} ({self.kind})"
