"""The interfaces of the five roles of encoders; all profiles but `light` implement all five."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import numpy as np

Role = Literal["visual", "acoustic", "text", "captions", "sounds"]
Profile = str  # name of an encoder within its role, see `models.encoders.encoder_table`
Description = tuple[str, float]  # a description of a sound and its score; a higher score is a better fit


class Encoder(Protocol):
    """An encoder of any role."""

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that determines the output, as a JSON-able dict. Equal identities give equal outputs.

        The keys are the name, backend, checkpoint, loaded revision, options and code version.
        """
        ...


class PreparingEncoder(Encoder, Protocol):
    """An encoder of frames or sound, in two steps: `prepare` needs no model, `from_prepared` runs the model.

    Worker processes can call `prepare` ahead of the device. `from_prepared` takes many videos in one call.
    """

    def prepare(self, elements: Sequence[np.ndarray], *rate: int) -> Any:
        """Return the input of `from_prepared` for one video. The method is picklable.

        Args:
            elements: The video's frames, (h, w, 3) uint8, or its segments of sound, (samples,) float32.
            rate: For segments: their samples per second.
        """
        ...

    def from_prepared(self, videos: Sequence[Any]) -> list[Any]:
        """Return the results of `encode`, `caption` or `describe` for videos that `prepare` has prepared.

        A batch may hold elements of several videos. The results don't depend on the batch.

        Args:
            videos: The result of `prepare` per video.

        Returns:
            One result per video, in order.

        Raises:
            EncoderError: At least one video can't be encoded. No results are returned.
        """
        ...


class VisualEncoder(PreparingEncoder, Protocol):
    """An encoder of frames.

    Attributes:
        width: Length of a vector.
    """

    width: int

    def encode(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Return one vector per frame.

        Args:
            images: The n frames of one video, in order, each (h, w, 3) uint8.

        Returns:
            (n, width) float32.
        """
        ...

    def encode_videos(self, videos: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
        """Return the result of `encode` per video. A batch may hold frames of several videos."""
        ...


class AcousticEncoder(PreparingEncoder, Protocol):
    """An encoder of segments of sound.

    Segments at another rate are resampled. Of a segment longer than `seconds`, the middle is used. Shorter segments are
    used as they are.

    Attributes:
        width: Length of a vector.
        rate: Samples per second that the model was trained on.
        seconds: Length of the longest segment that is used whole.
    """

    width: int
    rate: int
    seconds: float

    def encode(self, segments: Sequence[np.ndarray], rate: int) -> np.ndarray:
        """Return one vector per segment.

        Args:
            segments: n segments, each (samples,) float32.
            rate: Their samples per second.

        Returns:
            (n, width) float32.
        """
        ...


class TextEncoder(Encoder, Protocol):
    """An encoder of texts.

    Attributes:
        width: Length of a vector.
    """

    width: int

    def encode_words(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Return one array (words, width) float32 per text.

        An array has one row per word or token of its text, without padding. An empty text has (0, width).
        """
        ...

    def encode_sentences(self, texts: Sequence[str]) -> np.ndarray:
        """Return one vector of unit length per text: (n, width) float32.

        Raises:
            EncoderError: A text is empty. The caller has to mask missing texts.
        """
        ...


class VisualCaptioner(PreparingEncoder, Protocol):
    """A captioner of frames."""

    def caption(self, images: Sequence[np.ndarray]) -> list[str]:
        """Return one caption per frame.

        Args:
            images: The frames of one video, in order, each (h, w, 3) uint8.
        """
        ...

    def caption_videos(self, videos: Sequence[Sequence[np.ndarray]]) -> list[list[str]]:
        """Return the result of `caption` per video. A batch may hold frames of several videos."""
        ...


class AudioCaptioner(PreparingEncoder, Protocol):
    """A describer of segments of sound. Rates and lengths are handled as in `AcousticEncoder`.

    Attributes:
        rate: Samples per second that the model was trained on.
        seconds: Length of the longest segment that is used whole.
    """

    rate: int
    seconds: float

    def describe(self, segments: Sequence[np.ndarray], rate: int) -> list[list[Description]]:
        """Return the best descriptions of each segment, best first.

        Args:
            segments: n segments, each (samples,) float32.
            rate: Their samples per second.
        """
        ...
