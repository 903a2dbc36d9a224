"""The five roles an encoder can have; every profile offers each of them with the same calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import numpy as np

Role = Literal["visual", "acoustic", "text", "captions", "sounds"]
Profile = str  # name of an encoder among those of its role: `models.encoders.encoder_table`
Description = tuple[str, float]  # what a sound is, and how well that fits: higher is better


class Encoder(Protocol):
    """What every encoder tells about itself.

    Attributes:
        identity: A JSON-able dict of all that determines the output: name, backend, checkpoint, revision that was
            really loaded, options, version of the code. Equal identities give equal outputs.
    """

    @property
    def identity(self) -> dict[str, Any]: ...


class PreparingEncoder(Encoder, Protocol):
    """An encoder of frames or sound, whose work has two parts: one that needs no model, and the rest.

    So the first can be done in worker processes, ahead of the device, and the second for many videos at once.
    """

    def prepare(self, elements: Sequence[np.ndarray], *rate: int) -> Any:
        """A video's frames, or its segments and their `rate` -> what the rest of the work takes. Picklable."""
        ...

    def from_prepared(self, videos: Sequence[Any]) -> list[Any]:
        """The rest of the work for what was prepared of each video: as `encode`, `caption` or `describe` of each.

        Batches go across videos, and the result doesn't depend on the batch. An EncoderError is of all of them.
        """
        ...


class VisualEncoder(PreparingEncoder, Protocol):
    """Frames to vectors of `width` numbers."""

    width: int

    def encode(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """The frames of one video, in order: n of (h, w, 3) uint8 -> (n, width) float32."""
        ...

    def encode_videos(self, videos: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
        """As `encode` for each video; batches go across videos, and the result doesn't depend on the batch."""
        ...


class AcousticEncoder(PreparingEncoder, Protocol):
    """Segments of sound to vectors of `width` numbers; `rate` and `seconds` are what it works on.

    Other rates are resampled, longer segments cut in their middle to `seconds`, shorter ones taken as they are.
    """

    width: int
    rate: int
    seconds: float

    def encode(self, segments: Sequence[np.ndarray], rate: int) -> np.ndarray:
        """n of (samples,) float32 at `rate` samples a second -> (n, width) float32."""
        ...


class TextEncoder(Encoder, Protocol):
    """Texts to vectors of `width` numbers."""

    width: int

    def encode_words(self, texts: Sequence[str]) -> list[np.ndarray]:
        """n texts -> n of (n_w, width) float32, one row a word (or token), without padding; (0, width) if empty."""
        ...

    def encode_sentences(self, texts: Sequence[str]) -> np.ndarray:
        """n texts -> (n, width) float32, rows of unit length. An empty text raises EncoderError: mask it."""
        ...


class VisualCaptioner(PreparingEncoder, Protocol):
    """Frames to sentences."""

    def caption(self, images: Sequence[np.ndarray]) -> list[str]:
        """The frames of one video, in order: n of (h, w, 3) uint8 -> n captions."""
        ...

    def caption_videos(self, videos: Sequence[Sequence[np.ndarray]]) -> list[list[str]]:
        """As `caption` for each video; batches go across videos."""
        ...


class AudioCaptioner(PreparingEncoder, Protocol):
    """Segments of sound to descriptions; `rate` and `seconds` are what it works on (others as `AcousticEncoder`)."""

    rate: int
    seconds: float

    def describe(self, segments: Sequence[np.ndarray], rate: int) -> list[list[Description]]:
        """n of (samples,) float32 at `rate` samples a second -> n lists of the best descriptions, best first."""
        ...
