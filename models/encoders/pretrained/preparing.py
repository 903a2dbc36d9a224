"""What is made of a video's elements before a model sees them: the part of an encoder that needs no weights.

A preparation is picklable, so that worker processes do it ahead of the device, and it is the checkpoint's own processor:
the only liberty taken is where an image's values are scaled (see `ImagePreparation`).
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

_WINDOW, _HOP = 0.025, 0.010  # seconds, of the filter bank that AST's feature extractor computes


class _Preparation:
    """Holds where the processor lies; it is loaded by the process that uses it, once."""

    def __init__(self, checkpoint: Checkpoint):
        self.checkpoint = checkpoint

    def __reduce__(self):
        return type(self), (self.checkpoint,)


class ImagePreparation(_Preparation):
    """Frames, resized and cropped as the checkpoint says, on Pillow.

    Their values stay uint8, a fourth of the bytes to hand over and to move to the device; `scaled` does there, in
    float32, what the processor would have done.
    """

    @cached_property
    def processor(self) -> Any:
        from transformers import AutoImageProcessor

        return from_folder(AutoImageProcessor.from_pretrained, self.checkpoint, backend="pil")

    def __call__(self, images: Sequence[np.ndarray]) -> torch.Tensor:
        """n of (h, w, 3) uint8 -> (n, 3, height, width) uint8, of the model's height and width."""
        if not len(checked_images(images)):
            return torch.empty(0, dtype=torch.uint8)
        pictures = [Image.fromarray(image) for image in images]
        return self.processor(images=pictures, do_rescale=False, do_normalize=False, return_tensors="pt").pixel_values

    def size(self) -> tuple[int, int]:
        """Return the height and the width of prepared frames."""
        height, width = self([np.zeros((8, 8, 3), dtype=np.uint8)]).shape[-2:]
        return height, width

    def scaled(self, pixels: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """The rest of the processor's work on (n, 3, h, w) uint8, where they are: values to [0, 1], then normalised."""
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
        """Samples a second that the model works on."""
        return self.extractor.sampling_rate


class ASTPreparation(_SoundPreparation):
    """Segments as AST's spectrograms, padded to its length by its own feature extractor."""

    @property
    def seconds(self) -> float:
        """The longest segment that is used whole."""
        return self.extractor.max_length * _HOP

    def __call__(self, segments: Sequence[np.ndarray], rate: int) -> torch.Tensor:
        """n of (samples,) float32 at `rate` -> (n, windows, mel) float32."""
        longest = round((self.seconds + _WINDOW - _HOP) * self.rate)  # exactly as many windows as the model has places
        sounds = fitted(segments, rate, to_rate=self.rate, longest=longest)
        for index, sound in enumerate(sounds):
            if len(sound) < _WINDOW * self.rate:
                raise EncoderError(f"segment {index} is shorter than one window of {_WINDOW} s")
        if not sounds:
            return torch.empty(0)
        return self.extractor(sounds, sampling_rate=self.rate, return_tensors="pt").input_values


class CLAPPreparation(_SoundPreparation):
    """Segments as CLAP's spectrograms; shorter ones are repeated, as in its training."""

    @cached_property
    def fused(self) -> bool:
        """Whether the model takes several crops, by its own configuration: an extractor saved with its defaults says so of
        any model."""
        config = json.loads((self.checkpoint.folder / "config.json").read_text(encoding="utf-8"))
        return bool(config.get("audio_config", {}).get("enable_fusion", False))

    @property
    def seconds(self) -> float:
        """The longest segment that is used whole."""
        return float(self.extractor.max_length_s)

    def __call__(self, segments: Sequence[np.ndarray], rate: int) -> torch.Tensor:
        """n of (samples,) float32 at `rate` -> (n, crops, windows, mel) float32; several crops if the model is fused."""
        sounds = fitted(segments, rate, to_rate=self.rate, longest=int(self.extractor.nb_max_samples))
        if not sounds:
            return torch.empty(0)
        # No sound is longer than the model's length, so nothing is cropped at random.
        return self.extractor(
            sounds,
            sampling_rate=self.rate,
            truncation="fusion" if self.fused else "rand_trunc",
            padding="repeatpad",
            return_tensors="pt",
        )["input_features"]


class LaionPreparation(CLAPPreparation):
    """Segments as laion-clap takes them: samples, since it computes spectrograms itself, with its own repetition."""

    def __call__(self, segments: Sequence[np.ndarray], rate: int) -> torch.Tensor:
        """n of (samples,) float32 at `rate` -> (n, samples of the model's length) float32."""
        longest = int(self.extractor.nb_max_samples)
        sounds = fitted(segments, rate, to_rate=self.rate, longest=longest)
        rows = [np.pad(np.tile(sound, longest // len(sound)), (0, longest % len(sound))) for sound in sounds]
        return torch.from_numpy(np.stack(rows)) if rows else torch.empty(0)


def on_device(videos: Sequence[torch.Tensor], device: torch.device) -> torch.Tensor:
    """The rows of all videos as one tensor on the device; from pinned memory the copies don't wait for each other.

    Raises:
        EncoderError: They don't fit into its memory; fewer videos may.
    """
    try:
        moved = [rows.to(device, non_blocking=True) for rows in videos if len(rows)]
        return torch.cat(moved) if moved else torch.empty(0, device=device)
    except (MemoryError, RuntimeError) as error:  # PyTorch's own lack of memory is a RuntimeError
        if not out_of_memory(error):
            raise
        raise EncoderError(f"what was prepared of {len(videos)} videos doesn't fit into memory: {error}") from error


def of_each(rows: Sequence[Any], videos: Sequence[torch.Tensor]) -> list[Sequence[Any]]:
    """Cut what was made of all rows back into videos."""
    ends = np.cumsum([len(video) for video in videos], dtype=int)
    return [rows[end - len(video) : end] for end, video in zip(ends, videos)]
