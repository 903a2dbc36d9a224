"""Texts through the text encoder, block by block, each failure kept with its text."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from assets.encoding.bisect_failures import outcomes
from assets.encoding.encoder_stage import load
from assets.engine.shard_statistics import ShardStatistics
from assets.settings import Settings
from models.encoders import EncoderError, TextEncoder

BLOCK = 256  # texts encoded together: of like lengths by batches within


class TextRows:
    """Encodes texts; the encoder is loaded with the first of them, if there is one.

    Args:
        settings: which encoder.
        encode: (encoder, texts) -> one array a text.

    Attributes:
        statistics: what the work was spent on.
    """

    def __init__(self, settings: Settings, *, encode: Callable[[TextEncoder, Sequence[str]], Sequence[Any]]):
        self.statistics = ShardStatistics()
        self._settings = settings
        self._encode = encode
        self._encoder: TextEncoder | None = None

    def encoded(self, texts: Iterable[tuple[str, str]]) -> Iterator[tuple[str, np.ndarray | EncoderError]]:
        """(item, text) -> (item, its array, or the error that its row becomes), in order."""
        texts = iter(texts)
        while block := list(islice(texts, BLOCK)):
            if self._encoder is None:
                with self.statistics.step("load"):
                    self._encoder = load(self._settings, "text")
            with self.statistics.step("encode"):
                found = outcomes(partial(self._encode, self._encoder), [text for _, text in block])
            yield from zip((item for item, _ in block), found, strict=True)
