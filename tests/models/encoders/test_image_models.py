"""Image encoders other than ViT: the checkpoint's own type chooses the architecture."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    AutoImageProcessor,
    AutoModel,
    CLIPConfig,
    CLIPModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    SiglipConfig,
    SiglipModel,
    SiglipVisionConfig,
    SiglipVisionModel,
)
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from models.encoders import CheckpointError, identity, load, operations, preparation, width
from models.encoders.pretrained.image_models import IMAGE_MODELS

RNG = np.random.default_rng(0)
IMAGES = [RNG.integers(0, 256, (40 + 9 * n, 60 - 7 * n, 3), dtype=np.uint8) for n in range(3)]
SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
VISION = {**SIZES, "image_size": 32, "patch_size": 8}
TEXTS = {**SIZES, "vocab_size": 50, "max_position_embeddings": 16}
CROP = {"size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}}


def dinov2(folder: Path) -> None:
    """A model with positions for images of 112 pixels whose processor crops to 32, as the published one crops to 224."""
    config = Dinov2Config(**{**VISION, "image_size": 112}, mlp_ratio=2, layerscale_value=0.5)
    Dinov2Model(config).save_pretrained(folder)
    BitImageProcessorPil(**CROP).save_pretrained(folder)


def dinov2_with_registers(folder: Path) -> None:
    Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**VISION, num_register_tokens=3)).save_pretrained(folder)
    BitImageProcessorPil(**CROP).save_pretrained(folder)


def clip(folder: Path) -> None:
    """Both sides, as CLIP is published; only the image side is loaded."""
    CLIPModel(CLIPConfig(text_config=TEXTS, vision_config=VISION, projection_dim=16)).save_pretrained(folder)
    CLIPImageProcessorPil(**CROP).save_pretrained(folder)


def clip_vision_model(folder: Path) -> None:
    CLIPVisionModel(CLIPVisionConfig(**VISION)).save_pretrained(folder)
    CLIPImageProcessorPil(**CROP).save_pretrained(folder)


def siglip(folder: Path) -> None:
    SiglipModel(SiglipConfig(text_config=TEXTS, vision_config=VISION)).save_pretrained(folder)
    SiglipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)


def siglip_vision_model(folder: Path) -> None:
    SiglipVisionModel(SiglipVisionConfig(**VISION)).save_pretrained(folder)
    SiglipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)


BUILDERS = {
    made.__name__: made
    for made in (dinov2, dinov2_with_registers, clip, clip_vision_model, siglip, siglip_vision_model)
}
REGISTERS = {"dinov2_with_registers": 3}


@pytest.fixture(params=BUILDERS.values(), ids=BUILDERS)
def build(request) -> Callable[[Path], None]:
    return request.param


@pytest.fixture
def folder(build, tmp_path) -> Path:
    torch.manual_seed(0)
    build(tmp_path)
    return tmp_path


def test_every_architecture_is_tested():
    assert {"vit", *BUILDERS} == set(IMAGE_MODELS)


def documented(folder: Path) -> torch.nn.Module:
    """The outputs by the library's documented path; of CLIP and SigLIP with both sides, those of the image side."""
    model = AutoModel.from_pretrained(folder).eval()
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    pixels = processor(images=[Image.fromarray(image) for image in IMAGES], return_tensors="pt").pixel_values
    with torch.inference_mode():
        return getattr(model, "vision_model", model)(pixels)


def test_the_same_as_by_the_librarys_own_path(folder, build):
    whole = documented(folder)
    encoder = load("visual", "paper", checkpoint=str(folder))
    pooled = build.__name__.startswith(("clip", "siglip"))
    expected = whole.pooler_output if pooled else whole.last_hidden_state[:, 0]
    found = encoder.encode(IMAGES)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)
    assert np.ptp(found, axis=0).max() > 1e-3  # outputs differ from picture to picture
    np.testing.assert_allclose(np.concatenate([encoder.encode([image]) for image in IMAGES]), found, atol=1e-5)
    patches = whole.last_hidden_state[:, -16:]
    assert whole.last_hidden_state.shape[1] == 16 + (
        0 if "siglip" in build.__name__ else 1 + REGISTERS.get(build.__name__, 0)
    )
    mean = load("visual", "paper", checkpoint=str(folder), pooling="mean").encode(IMAGES)
    np.testing.assert_allclose(mean, patches.mean(1).numpy(), atol=1e-5)


def test_identity_and_width_need_no_weights(folder):
    encoder = load("visual", "paper", checkpoint=str(folder))
    assert width("visual", "paper", checkpoint=str(folder)) == encoder.width == 32
    assert identity("visual", "paper", checkpoint=str(folder)) == encoder.identity
    assert preparation("visual", "paper", checkpoint=str(folder))(IMAGES).shape == (3, 3, 32, 32)
    # 16 patches and some tokens through two layers: 2 operations a weight and token, and the attention
    weights = 2 * (4 * 32**2 + 2 * 32 * 64)
    assert 1.8 * 16 * weights < operations("visual", "paper", checkpoint=str(folder)) < 5 * 16 * weights
    encoder.trial(2)


def test_a_width_that_the_configuration_leaves_out_is_the_librarys_default(tmp_path):
    clip(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["vision_config"]["hidden_size"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert width("visual", "paper", checkpoint=str(tmp_path)) == CLIPVisionConfig().hidden_size


def test_an_unknown_architecture_is_refused_with_the_list_of_known_ones(tmp_path):
    clip(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "model_type": "resnet"}))
    with pytest.raises(
        CheckpointError, match=r"is a 'resnet' model; the role 'visual' needs 'vit' or 'dinov2' or .*'siglip'"
    ):
        identity("visual", "paper", checkpoint=str(tmp_path))
