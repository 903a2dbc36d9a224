"""Architectures of image encoders: a new one is a line here, chosen by the checkpoint's own `model_type`.

transformers' AutoModel loads each; of a model of images and texts it loads the image side. Light to import, so that planning
is cheap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ImageModel:
    """Where a picture's vector lies in the outputs of an architecture.

    Attributes:
        pooler: Whether the vector is the model's own pooled output; otherwise it is the first token of the last layer.
        first_patch: How many tokens stand before the patches, not counting registers.
        arguments: Keyword arguments of the model's class.
    """

    pooler: bool = False
    first_patch: int = 1
    arguments: Mapping[str, Any] = field(default_factory=dict)


IMAGE_MODELS: dict[str, ImageModel] = {
    # The pooling layer of ViT is not used, and the published checkpoint's is not trained.
    "vit": ImageModel(arguments={"add_pooling_layer": False}),
    "dinov2": ImageModel(),
    "dinov2_with_registers": ImageModel(),
    "clip": ImageModel(pooler=True),  # the first token after the last layer's normalisation
    "clip_vision_model": ImageModel(pooler=True),
    "siglip": ImageModel(pooler=True, first_patch=0),  # attention pooling: there is no first token
    "siglip_vision_model": ImageModel(pooler=True, first_patch=0),
}
