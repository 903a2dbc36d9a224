"""Segments of sound through an Audio Spectrogram Transformer (M3TR appendix E: w_j to E_i^a in R^{K x d_a})."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import ASTModel

from models.encoders.pretrained.batching import Batches, finite
from models.encoders.pretrained.options import AcousticOptions
from models.encoders.pretrained.preparing import ASTPreparation, of_each, on_device


class ASTEncoder:
    """One vector a segment; see `roles.AcousticEncoder`. Segments shorter than the model's length are padded by the
    checkpoint's own feature extractor."""

    def __init__(
        self,
        model: ASTModel,
        prepare: ASTPreparation,
        options: AcousticOptions,
        *,
        identity: dict[str, Any],
        batch_size: int,
    ):
        self.identity = identity
        self.prepare = prepare
        self.batches = Batches(batch_size)
        self.width: int = model.config.hidden_size
        self.rate, self.seconds = prepare.rate, prepare.seconds
        self._model = model

    def encode(self, segments: Sequence[np.ndarray], rate: int) -> np.ndarray:
        return self.from_prepared([self.prepare(segments, rate)])[0]

    def from_prepared(self, videos: Sequence[torch.Tensor]) -> list[np.ndarray]:
        rows = self.batches.run(on_device(videos, self._model.device), self._encode)
        vectors = finite(torch.stack(rows), "AST").numpy() if rows else np.zeros((0, self.width), dtype=np.float32)
        return of_each(vectors, videos)

    def trial(self, size: int) -> None:
        config = self._model.config
        self._encode(torch.zeros((size, config.max_length, config.num_mel_bins), device=self._model.device)).cpu()

    @torch.inference_mode()
    def _encode(self, spectrograms: torch.Tensor) -> torch.Tensor:
        return self._model(spectrograms.to(self._model.dtype)).pooler_output  # (b, t, mel) -> (b, d)
