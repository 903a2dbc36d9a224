"""The Audio Spectrogram Transformer as encoder of sound (M3TR appendix E: w_j to E_i^a in R^{K x d_a})."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import ASTModel

from models.encoders.pretrained.batching import Batches, finite
from models.encoders.pretrained.options import AcousticOptions
from models.encoders.pretrained.preparing import ASTPreparation, on_device, split_by_video


class ASTEncoder:
    """An encoder of sound by AST, one vector per segment; see `roles.AcousticEncoder`.

    The checkpoint's own feature extractor pads segments that are shorter than the model's length.
    """

    def __init__(
        self,
        model: ASTModel,
        prepare: ASTPreparation,
        options: AcousticOptions,
        *,
        identity: dict[str, Any],
        batch_size: int,
    ):
        """Wrap a loaded model; `models.encoders.pretrained.load` calls this."""
        self.identity = identity
        self.prepare = prepare
        self.batches = Batches(batch_size)
        self.width: int = model.config.hidden_size
        self.rate, self.seconds = prepare.rate, prepare.seconds
        self._model = model

    def encode(self, segments: Sequence[np.ndarray], rate: int) -> np.ndarray:
        """Return one vector per segment (samples,) at `rate` samples per second: (n, width) float32."""
        return self.from_prepared([self.prepare(segments, rate)])[0]

    def from_prepared(self, videos: Sequence[torch.Tensor]) -> list[np.ndarray]:
        """Return the vectors of each video, from its spectrograms (n, windows, mel)."""
        rows = self.batches.run(on_device(videos, self._model.device), self._encode)
        vectors = finite(torch.stack(rows), "AST").numpy() if rows else np.zeros((0, self.width), dtype=np.float32)
        return split_by_video(vectors, videos)

    def trial(self, size: int) -> None:
        """Encode a batch of `size` empty segments, to measure the speed of a batch size."""
        config = self._model.config
        self._encode(torch.zeros((size, config.max_length, config.num_mel_bins), device=self._model.device)).cpu()

    @torch.inference_mode()
    def _encode(self, spectrograms: torch.Tensor) -> torch.Tensor:
        return self._model(spectrograms.to(self._model.dtype)).pooler_output  # (b, t, mel) -> (b, d)
