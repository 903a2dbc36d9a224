"""Preparation of a video's frames or segments for a model: the part of an encoder that needs no weights.

A preparation is picklable, so worker processes can run it ahead of the device. It runs the checkpoint's own processor. The
only difference is that an image's values are scaled later, on the device (see `ImagePreparation`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from PIL import Image

from models.encoders.errors import EncoderError
from models.encoders.images import checked_images
from models.encoders.pretrained.batching import out_of_memory
from models.encoders.pretrained.checkpoints import Checkpoint
from models.encoders.pretrained.from_files import from_folder
from models.encoders.pretrained.segments import fitted

_WINDOW, _HOP = 0.025, 0.010  # seconds; window and hop of AST's feature extractor


class _Preparation:
    """A preparation by the processor of a checkpoint. Each process that uses it loads the processor once."""

    def __init__(self, checkpoint: Checkpoint):
        self.checkpoint = checkpoint

    def __reduce__(self):
        return type(self), (self.checkpoint,)


class ImagePreparation(_Preparation):
    """The preparation of frames: resized and cropped with Pillow, as the checkpoint's processor does.

    The values stay uint8, which is a fourth of the bytes to send to another process and to the device. `scaled` scales and
    normalises them on the device in float32, as the processor would have done.
    """

    @cached_property
    def processor(self) -> Any:
        """The checkpoint's image processor."""
        from transformers import AutoImageProcessor

        return from_folder(AutoImageProcessor.from_pretrained, self.checkpoint, backend="pil")

    def __call__(self, images: Sequence[np.ndarray]) -> torch.Tensor:
        """Return frames (h, w, 3) uint8 in the model's size: (n, 3, height, width) uint8."""
        if not len(checked_images(images)):
            return torch.empty(0, dtype=torch.uint8)
        pictures = [Image.fromarray(image) for image in images]
        return self.processor(images=pictures, do_rescale=False, do_normalize=False, return_tensors="pt").pixel_values

    def size(self) -> tuple[int, int]:
        """Return height and width of prepared frames."""
        height, width = self([np.zeros((8, 8, 3), dtype=np.uint8)]).shape[-2:]
        return height, width

    def scaled(self, pixels: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Scale prepared frames to [0, 1] and normalise them, on the device where they are.

        Args:
            pixels: (n, 3, h, w) uint8.
            dtype: Type of the result. The computation is in float32.
        """
        values = pixels.float()
        if self.processor.do_rescale:
            values = values * self.processor.rescale_factor
        if self.processor.do_normalize:
            mean, deviation = (
                torch.tensor(numbers, device=pixels.device)[:, None, None]
                for numbers in (self.processor.image_mean, self.processor.image_std)
            )
            values = (values - mean) / deviation
        return values.to(dtype)


class _SoundPreparation(_Preparation):
    @cached_property
    def extractor(self) -> Any:
        from transformers import AutoFeatureExtractor

        return from_folder(AutoFeatureExtractor.from_pretrained, self.checkpoint)

    @property
    def rate(self) -> int:
        """Samples per second that the model was trained on."""
        return self.extractor.sampling_rate


class ASTPreparation(_SoundPreparation):
    """The preparation of sound for AST: spectrograms by its feature extractor, padded to the model's length."""

    @property
    def seconds(self) -> float:
        """Length of the longest segment that is used whole."""
        return self.extractor.max_length * _HOP

    def __call__(self, segments: Sequence[np.ndarray], rate: int) -> torch.Tensor:
        """Return the spectrograms of segments (samples,) float32 at `rate` samples per second: (n, windows, mel) float32.

        Raises:
            EncoderError: A segment is empty, not finite, or shorter than one window.
        """
        longest = round((self.seconds + _WINDOW - _HOP) * self.rate)  # gives exactly the model's number of windows
        sounds = fitted(segments, rate, to_rate=self.rate, longest=longest)
        for index, sound in enumerate(sounds):
            if len(sound) < _WINDOW * self.rate:
                raise EncoderError(f"segment {index} is shorter than one window of {_WINDOW} s")
        if not sounds:
            return torch.empty(0)
        return self.extractor(sounds, sampling_rate=self.rate, return_tensors="pt").input_values


class CLAPPreparation(_SoundPreparation):
    """The preparation of sound for CLAP: spectrograms; shorter segments are repeated, as in CLAP's training."""

    @cached_property
    def fused(self) -> bool:
        """Whether the model takes several crops.

        This is read from the model's configuration: an extractor saved with default values always says yes.
        """
        config = json.loads((self.checkpoint.folder / "config.json").read_text(encoding="utf-8"))
        return bool(config.get("audio_config", {}).get("enable_fusion", False))

    @property
    def seconds(self) -> float:
        """Length of the longest segment that is used whole."""
        return float(self.extractor.max_length_s)

    def __call__(self, segments: Sequence[np.ndarray], rate: int) -> torch.Tensor:
        """Return the spectrograms of segments (samples,) float32 at `rate` samples per second.

        Returns:
            (n, crops, windows, mel) float32. There are several crops only if the model is fused.

        Raises:
            EncoderError: A segment is empty or not finite.
        """
        sounds = fitted(segments, rate, to_rate=self.rate, longest=int(self.extractor.nb_max_samples))
        if not sounds:
            return torch.empty(0)
        # No sound is longer than the model's length, so the extractor crops nothing at random.
        return self.extractor(
            sounds,
            sampling_rate=self.rate,
            truncation="fusion" if self.fused else "rand_trunc",
            padding="repeatpad",
            return_tensors="pt",
        )["input_features"]


class LaionPreparation(CLAPPreparation):
    """The preparation of sound for laion-clap: samples, repeated to the model's length. laion-clap computes spectrograms."""

    def __call__(self, segments: Sequence[np.ndarray], rate: int) -> torch.Tensor:
        """Return segments (samples,) float32 at `rate` samples per second, in the model's length: (n, samples) float32.

        Raises:
            EncoderError: A segment is empty or not finite.
        """
        longest = int(self.extractor.nb_max_samples)
        sounds = fitted(segments, rate, to_rate=self.rate, longest=longest)
        rows = [np.pad(np.tile(sound, longest // len(sound)), (0, longest % len(sound))) for sound in sounds]
        return torch.from_numpy(np.stack(rows)) if rows else torch.empty(0)


def on_device(videos: Sequence[torch.Tensor], device: torch.device) -> torch.Tensor:
    """Return the rows of all videos as one tensor on the device. Copies from pinned memory are asynchronous.

    Args:
        videos: Prepared rows per video.
        device: Where the rows are copied to.

    Raises:
        EncoderError: The rows don't fit into the device's memory. Fewer videos may fit.
    """
    try:
        moved = [rows.to(device, non_blocking=True) for rows in videos if len(rows)]
        return torch.cat(moved) if moved else torch.empty(0, device=device)
    except (MemoryError, RuntimeError) as error:  # PyTorch's own lack of memory is a RuntimeError
        if not out_of_memory(error):
            raise
        raise EncoderError(f"the prepared input of {len(videos)} videos doesn't fit into memory: {error}") from error


def split_by_video(rows: Sequence[Any], videos: Sequence[torch.Tensor]) -> list[Sequence[Any]]:
    """Split results of all rows into one sequence per video.

    Args:
        rows: One result per row of all videos, in order.
        videos: Prepared rows per video.
    """
    ends = np.cumsum([len(video) for video in videos], dtype=int)
    return [rows[end - len(video) : end] for end, video in zip(ends, videos)]
