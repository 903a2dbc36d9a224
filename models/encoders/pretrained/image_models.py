"""The table of image architectures, by the `model_type` of a checkpoint's configuration. A new architecture is one line.

transformers' AutoModel loads each of them. Of a model of images and texts, only the image side is loaded. This module imports
no framework, because planning imports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ImageModel:
    """The position of an image's vector in the outputs of an architecture.

    Attributes:
        pooler: Whether the vector is the model's pooled output. Otherwise it is the first token of the last layer.
        first_patch: Number of tokens before the patches, without registers.
        arguments: Keyword arguments for the model's class.
    """

    pooler: bool = False
    first_patch: int = 1
    arguments: Mapping[str, Any] = field(default_factory=dict)


IMAGE_MODELS: dict[str, ImageModel] = {
    # ViT's pooling layer is not used; in the published checkpoint it isn't trained.
    "vit": ImageModel(arguments={"add_pooling_layer": False}),
    "dinov2": ImageModel(),
    "dinov2_with_registers": ImageModel(),
    "clip": ImageModel(pooler=True),  # the first token after the last layer's normalisation
    "clip_vision_model": ImageModel(pooler=True),
    "siglip": ImageModel(pooler=True, first_patch=0),  # attention pooling: there is no first token
    "siglip_vision_model": ImageModel(pooler=True, first_patch=0),
}
