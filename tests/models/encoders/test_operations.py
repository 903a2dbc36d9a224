"""Operations are counted from configurations: those of the published models are known."""

import pytest
from transformers import ASTConfig, Blip2Config, OPTConfig, ViTConfig

from models.encoders import operations
from models.encoders.matrix_rate import matrix_rate
from models.encoders.pretrained.operations import operations_by_part


def test_vit_base_needs_seventeen_and_a_half_billion_products():
    # Dosovitskiy et al. (2021): ViT-B/16 at 224 pixels, 17.6 GMAC; a product and a sum are two operations.
    assert operations_by_part("visual", ViTConfig(), new_tokens=0)["all"] == pytest.approx(2 * 17.56e9, rel=0.01)


def test_ast_by_hand():
    tokens, hidden, inner, layers = 12 * 101 + 2, 768, 3072, 12
    products = tokens * (4 * hidden**2 + 2 * hidden * inner) + 2 * tokens**2 * hidden
    patches = (tokens - 2) * 16 * 16 * hidden
    found = operations_by_part("acoustic", ASTConfig(), new_tokens=0)["all"]
    assert found == pytest.approx(2 * (layers * products + patches), rel=0.01)


def test_words_of_blip2_cost_two_operations_a_weight_each():
    words = OPTConfig(hidden_size=2560, num_hidden_layers=32, num_attention_heads=32, ffn_dim=10240, vocab_size=50304)
    words.word_embed_proj_dim = 2560
    config = Blip2Config(text_config=words.to_dict())
    few, more = (operations_by_part("captions", config, new_tokens=count) for count in (10, 30))
    assert few["vision"] == more["vision"] == pytest.approx(533e9, rel=0.01)
    assert (more["words"] - few["words"]) / 20 == pytest.approx(2 * 2.65e9, rel=0.02)


def test_longer_texts_cost_more(cache):
    title, prompt, longest, more = (
        operations("text", "tiny", cache=cache, text_tokens=count) for count in (16, 64, 128, 1000)
    )
    assert prompt > 4 * title and longest > 2 * prompt and more == longest  # what the model has places for


@pytest.mark.parametrize("role", ["visual", "acoustic", "text", "captions", "sounds"])
def test_every_checkpoint_can_be_counted(cache, role):
    assert 1e4 < operations(role, "tiny", cache=cache) < 1e9
    with pytest.raises(ValueError, match="has no model"):
        operations(role, "handcrafted")


def test_a_machine_multiplies_matrices():
    assert 1e8 < matrix_rate(seconds=0.01) < 1e16
