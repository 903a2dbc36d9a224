"""Frames through a Vision Transformer (M3TR appendix E: F_j to E_i^v in R^{K x d_v})."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoImageProcessor, ViTModel

from models.encoders.images import checked_images
from models.encoders.pretrained.batching import Batches, finite
from models.encoders.pretrained.checkpoints import Checkpoint
from models.encoders.pretrained.loading import from_folder, load_model
from models.encoders.pretrained.options import VisualOptions


class ViTEncoder:
    """One vector a frame; see `roles.VisualEncoder`. The image processor is the checkpoint's own, on Pillow."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        options: VisualOptions,
        *,
        identity: dict[str, Any],
        device: str,
        dtype: str,
        batch_size: int,
    ):
        self.identity = identity
        self._processor = from_folder(AutoImageProcessor.from_pretrained, checkpoint, backend="pil")
        # The pooling layer is not used, and the published checkpoint's is not trained.
        self._model = load_model(ViTModel, checkpoint, device=device, dtype=dtype, add_pooling_layer=False)
        self._pooling = options.pooling
        self._batches = Batches(batch_size)
        self.width: int = self._model.config.hidden_size

    def encode(self, images: Sequence[np.ndarray]) -> np.ndarray:
        rows = self._batches.run(checked_images(images), self._encode)
        return np.stack(rows) if rows else np.zeros((0, self.width), dtype=np.float32)

    def encode_videos(self, videos: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
        rows = self.encode([image for images in videos for image in images])
        ends = np.cumsum([len(images) for images in videos])
        return np.split(rows, ends[:-1]) if len(videos) else []

    @torch.inference_mode()
    def _encode(self, images: list[np.ndarray]) -> np.ndarray:
        pixels = self._processor(images=[Image.fromarray(image) for image in images], return_tensors="pt").pixel_values
        hidden = self._model(pixels.to(self._model.device, self._model.dtype)).last_hidden_state  # (b, 1 + patches, d)
        vectors = hidden[:, 0] if self._pooling == "cls" else hidden[:, 1:].float().mean(1)
        return finite(vectors, "ViT").numpy()  # (b, d)
