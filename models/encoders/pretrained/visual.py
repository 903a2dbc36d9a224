"""Image models as encoders of frames (M3TR appendix E: F_j to E_i^v in R^{K x d_v}, there by a Vision Transformer)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedConfig, PreTrainedModel

from models.encoders.pretrained.batching import Batches, finite
from models.encoders.pretrained.image_models import IMAGE_MODELS
from models.encoders.pretrained.options import VisualOptions
from models.encoders.pretrained.preparing import ImagePreparation, on_device, split_by_video


def image_config(config: PreTrainedConfig) -> PreTrainedConfig:
    """Return the configuration of a model's image side. Models of images only are their own image side."""
    return getattr(config, "vision_config", config)


class ImageEncoder:
    """An encoder of frames by an image model, one vector per frame; see `roles.VisualEncoder`."""

    def __init__(
        self,
        model: PreTrainedModel,
        prepare: ImagePreparation,
        options: VisualOptions,
        *,
        identity: dict[str, Any],
        batch_size: int,
    ):
        """Wrap a loaded model; `models.encoders.pretrained.load` calls this."""
        self.identity = identity
        self.prepare = prepare
        self.batches = Batches(batch_size)
        self.width: int = model.config.hidden_size
        self._model = model
        self._kind = IMAGE_MODELS[model.config.model_type]
        self._first_patch = self._kind.first_patch + getattr(model.config, "num_register_tokens", 0)
        self._pooling = options.pooling

    def encode(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Return one vector per frame of one video, each (h, w, 3) uint8: (n, width) float32."""
        return self.from_prepared([self.prepare(images)])[0]

    def encode_videos(self, videos: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
        """Return the result of `encode` per video. A batch may hold frames of several videos."""
        return self.from_prepared([self.prepare(images) for images in videos])

    def from_prepared(self, videos: Sequence[torch.Tensor]) -> list[np.ndarray]:
        """Return the vectors of each video, from its prepared frames (n, 3, h, w) uint8."""
        rows = self.batches.run(on_device(videos, self._model.device), self._encode)
        if not rows:
            return split_by_video(np.zeros((0, self.width), dtype=np.float32), videos)
        return split_by_video(finite(torch.stack(rows), type(self._model).__name__).numpy(), videos)

    def trial(self, size: int) -> None:
        """Encode a batch of `size` black frames, to measure the speed of a batch size."""
        height, width = self.prepare.size()
        self._encode(torch.zeros((size, 3, height, width), dtype=torch.uint8, device=self._model.device)).cpu()

    @torch.inference_mode()
    def _encode(self, pixels: torch.Tensor) -> torch.Tensor:
        output = self._model(self.prepare.scaled(pixels, self._model.dtype))
        if self._pooling == "mean":
            return output.last_hidden_state[:, self._first_patch :].float().mean(1)  # (b, tokens, d) -> (b, d)
        return output.pooler_output if self._kind.pooler else output.last_hidden_state[:, 0]  # (b, d)
