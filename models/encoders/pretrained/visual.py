"""Frames through a Vision Transformer (M3TR appendix E: F_j to E_i^v in R^{K x d_v})."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import ViTModel

from models.encoders.pretrained.batching import Batches, finite
from models.encoders.pretrained.options import VisualOptions
from models.encoders.pretrained.preparing import ImagePreparation, of_each, on_device


class ViTEncoder:
    """One vector a frame; see `roles.VisualEncoder`. The image processor is the checkpoint's own, on Pillow."""

    def __init__(
        self,
        model: ViTModel,
        prepare: ImagePreparation,
        options: VisualOptions,
        *,
        identity: dict[str, Any],
        batch_size: int,
    ):
        self.identity = identity
        self.prepare = prepare
        self.batches = Batches(batch_size)
        self.width: int = model.config.hidden_size
        self._model = model
        self._pooling = options.pooling

    def encode(self, images: Sequence[np.ndarray]) -> np.ndarray:
        return self.from_prepared([self.prepare(images)])[0]

    def encode_videos(self, videos: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
        return self.from_prepared([self.prepare(images) for images in videos])

    def from_prepared(self, videos: Sequence[torch.Tensor]) -> list[np.ndarray]:
        rows = self.batches.run(on_device(videos, self._model.device), self._encode)
        vectors = finite(torch.stack(rows), "ViT").numpy() if rows else np.zeros((0, self.width), dtype=np.float32)
        return of_each(vectors, videos)

    def trial(self, size: int) -> None:
        side = self._model.config.image_size
        self._encode(torch.zeros((size, 3, side, side), dtype=torch.uint8, device=self._model.device)).cpu()

    @torch.inference_mode()
    def _encode(self, pixels: torch.Tensor) -> torch.Tensor:
        hidden = self._model(self.prepare.scaled(pixels, self._model.dtype)).last_hidden_state  # (b, 1 + patches, d)
        return hidden[:, 0] if self._pooling == "cls" else hidden[:, 1:].float().mean(1)  # (b, d)
