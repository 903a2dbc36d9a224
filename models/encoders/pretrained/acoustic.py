"""Segments of sound through an Audio Spectrogram Transformer (M3TR appendix E: w_j to E_i^a in R^{K x d_a})."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import ASTModel, AutoFeatureExtractor

from models.encoders.errors import EncoderError
from models.encoders.pretrained.batching import Batches, finite
from models.encoders.pretrained.checkpoints import Checkpoint
from models.encoders.pretrained.loading import from_folder, load_model
from models.encoders.pretrained.options import AcousticOptions
from models.encoders.pretrained.segments import fitted

_WINDOW, _HOP = 0.025, 0.010  # seconds, of the filter bank that the feature extractor computes


class ASTEncoder:
    """One vector a segment; see `roles.AcousticEncoder`. Segments shorter than the model's length are padded by the
    checkpoint's own feature extractor."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        options: AcousticOptions,
        *,
        identity: dict[str, Any],
        device: str,
        dtype: str,
        batch_size: int,
    ):
        self.identity = identity
        self._extractor = from_folder(AutoFeatureExtractor.from_pretrained, checkpoint)
        self._model = load_model(ASTModel, checkpoint, device=device, dtype=dtype)
        self._batches = Batches(batch_size)
        self.width: int = self._model.config.hidden_size
        self.rate: int = self._extractor.sampling_rate
        self.seconds: float = self._extractor.max_length * _HOP

    def encode(self, segments: Sequence[np.ndarray], rate: int) -> np.ndarray:
        longest = round((self.seconds + _WINDOW - _HOP) * self.rate)  # exactly as many windows as the model has places
        sounds = fitted(segments, rate, to_rate=self.rate, longest=longest)
        for index, sound in enumerate(sounds):
            if len(sound) < _WINDOW * self.rate:
                raise EncoderError(f"segment {index} is shorter than one window of {_WINDOW} s")
        rows = self._batches.run(sounds, self._encode)
        return np.stack(rows) if rows else np.zeros((0, self.width), dtype=np.float32)

    @torch.inference_mode()
    def _encode(self, sounds: list[np.ndarray]) -> np.ndarray:
        values = self._extractor(sounds, sampling_rate=self.rate, return_tensors="pt").input_values  # (b, t, mel)
        pooled = self._model(values.to(self._model.device, self._model.dtype)).pooler_output
        return finite(pooled, "AST").numpy()  # (b, d)
