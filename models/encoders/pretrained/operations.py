"""Exact counts of the floating-point operations that a model needs for one input, from its configuration alone.

The model is built on PyTorch's `meta` device, where tensors have shapes but no numbers, and run once under PyTorch's
`FlopCounterMode`. It counts matrix products, convolutions and attention; a multiplication and an addition count as two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    ASTModel,
    AutoModel,
    Blip2ForConditionalGeneration,
    ClapModel,
    PreTrainedConfig,
)

from models.encoders.pretrained.from_files import quietly
from models.encoders.pretrained.image_models import IMAGE_MODELS
from models.encoders.pretrained.options import CaptionOptions
from models.encoders.roles import Role

TEXT_TOKENS = 32  # assumed length of a title


def operations(
    role: Role,
    config: PreTrainedConfig,
    *,
    new_tokens: int = CaptionOptions.max_new_tokens,
    text_tokens: int = TEXT_TOKENS,
) -> float:
    """Return the number of operations for one frame, segment or text.

    Args:
        role: `visual`, `acoustic`, `text`, `captions` or `sounds`.
        config: The model's configuration.
        new_tokens: Words of a caption; only for `captions`.
        text_tokens: Length of a text; only for `text`.
    """
    return sum(operations_by_part(role, config, new_tokens=new_tokens, text_tokens=text_tokens).values())


def operations_by_part(
    role: Role, config: PreTrainedConfig, *, new_tokens: int, text_tokens: int = TEXT_TOKENS
) -> dict[str, float]:
    """Return the number of operations by part of the model.

    The arguments are those of `operations`. The parts of BLIP-2 are `vision` (with the Q-Former) and `words`. Other models
    have one part, `all`.
    """
    with torch.device("meta"), quietly():
        match role:
            case "visual":
                model = AutoModel.from_config(config, **IMAGE_MODELS[config.model_type].arguments).eval()
                return {"all": _counted(lambda: model(_picture(config)))}
            case "acoustic":
                model = ASTModel(config).eval()
                return {"all": _counted(lambda: model(torch.zeros(1, config.max_length, config.num_mel_bins)))}
            case "text":
                model = AutoModel.from_config(config).eval()
                length = min(text_tokens, config.max_position_embeddings)
                return {"all": _counted(lambda: model(torch.zeros(1, length, dtype=torch.long)))}
            case "captions":
                return _blip2(config, new_tokens)
            case "sounds":
                model = ClapModel(config).audio_model.eval()
                side, mel = config.audio_config.spec_size, config.audio_config.num_mel_bins
                sound = torch.zeros(1, 1, side * (side // mel), mel)  # the model folds it into an image of side x side
                return {"all": _counted(lambda: model(sound, is_longer=None))}


def _blip2(config: PreTrainedConfig, new_tokens: int) -> dict[str, float]:
    """Count BLIP-2's operations. All words pass the language model at once, which costs the same as one by one with a cache."""
    # A model in training mode may decide by a random number whether to leave out a layer, and `meta` has no numbers.
    model = Blip2ForConditionalGeneration(config).eval()
    # Before choosing a kernel, some versions look whether the attention mask is all ones, which `meta` cannot tell.
    model.language_model.config._attn_implementation = "eager"
    queries, vision, words = config.num_query_tokens, config.vision_config, config.text_config
    seen = torch.zeros(1, (vision.image_size // vision.patch_size) ** 2 + 1, vision.hidden_size)

    def look() -> None:
        model.vision_model(_picture(vision))
        model.qformer(
            query_embeds=torch.zeros(1, queries, config.qformer_config.hidden_size), encoder_hidden_states=seen
        )

    def write() -> None:
        model.language_model(inputs_embeds=torch.zeros(1, queries + new_tokens, words.hidden_size), use_cache=False)

    return {"vision": _counted(look), "words": _counted(write)}


def _picture(config: Any) -> torch.Tensor:
    return torch.zeros(1, 3, config.image_size, config.image_size)


@torch.no_grad()
def _counted(run: Callable[[], object]) -> float:
    with FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops())
