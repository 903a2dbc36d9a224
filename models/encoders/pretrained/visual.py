"""Frames through an image encoder (M3TR appendix E: F_j to E_i^v in R^{K x d_v}, there a Vision Transformer)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedConfig, PreTrainedModel

from models.encoders.pretrained.batching import Batches, finite
from models.encoders.pretrained.image_models import IMAGE_MODELS
from models.encoders.pretrained.options import VisualOptions
from models.encoders.pretrained.preparing import ImagePreparation, of_each, on_device


def image_config(config: PreTrainedConfig) -> PreTrainedConfig:
    """Return the configuration of the image side, for a model of images and texts too."""
    return getattr(config, "vision_config", config)


class ImageEncoder:
    """One vector per frame; see `roles.VisualEncoder`. The image processor is the checkpoint's own, on Pillow."""

    def __init__(
        self,
        model: PreTrainedModel,
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
        self._kind = IMAGE_MODELS[model.config.model_type]
        self._first_patch = self._kind.first_patch + getattr(model.config, "num_register_tokens", 0)
        self._pooling = options.pooling

    def encode(self, images: Sequence[np.ndarray]) -> np.ndarray:
        return self.from_prepared([self.prepare(images)])[0]

    def encode_videos(self, videos: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
        return self.from_prepared([self.prepare(images) for images in videos])

    def from_prepared(self, videos: Sequence[torch.Tensor]) -> list[np.ndarray]:
        rows = self.batches.run(on_device(videos, self._model.device), self._encode)
        if not rows:
            return of_each(np.zeros((0, self.width), dtype=np.float32), videos)
        return of_each(finite(torch.stack(rows), type(self._model).__name__).numpy(), videos)

    def trial(self, size: int) -> None:
        height, width = self.prepare.size()
        self._encode(torch.zeros((size, 3, height, width), dtype=torch.uint8, device=self._model.device)).cpu()

    @torch.inference_mode()
    def _encode(self, pixels: torch.Tensor) -> torch.Tensor:
        output = self._model(self.prepare.scaled(pixels, self._model.dtype))
        if self._pooling == "mean":
            return output.last_hidden_state[:, self._first_patch :].float().mean(1)  # (b, tokens, d) -> (b, d)
        return output.pooler_output if self._kind.pooler else output.last_hidden_state[:, 0]  # (b, d)
