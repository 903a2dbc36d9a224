"""Frames to sentences through BLIP-2 (Li et al., 2023), as M3TR 3.3 does for the unified semantic vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import (
    Blip2ForConditionalGeneration,
    Blip2Processor,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedTokenizerBase,
)

from models.encoders.errors import EncoderError
from models.encoders.pretrained.batching import Batches
from models.encoders.pretrained.options import CaptionOptions
from models.encoders.pretrained.preparing import ImagePreparation, of_each, on_device


class BLIP2Captioner:
    """One caption a frame, greedily; see `roles.VisualCaptioner`.

    All prompts are the same, so every batch is one bucket of lengths: no input is padded. A batch ends with its last
    caption's end token.
    """

    def __init__(
        self,
        model: Blip2ForConditionalGeneration,
        prepare: ImagePreparation,
        tokenizer: PreTrainedTokenizerBase,
        options: CaptionOptions,
        *,
        identity: dict[str, Any],
        batch_size: int,
    ):
        self.identity = identity
        self.prepare = prepare
        self.batches = Batches(batch_size)
        self._model = model
        self._tokenizer = tokenizer
        self._longest = options.max_new_tokens
        processor = Blip2Processor(prepare.processor, tokenizer, num_query_tokens=model.config.num_query_tokens)
        nothing = np.zeros((8, 8, 3), dtype=np.uint8)  # the processor places the image's tokens only beside an image
        words = processor(images=nothing, text=[options.prompt], return_tensors="pt")
        self._prompt = {name: words[name].to(model.device) for name in ("input_ids", "attention_mask")}  # (1, t)

    def caption(self, images: Sequence[np.ndarray]) -> list[str]:
        return self.from_prepared([self.prepare(images)])[0]

    def caption_videos(self, videos: Sequence[Sequence[np.ndarray]]) -> list[list[str]]:
        return self.from_prepared([self.prepare(images) for images in videos])

    def from_prepared(self, videos: Sequence[torch.Tensor]) -> list[list[str]]:
        captions = self.batches.run(on_device(videos, self._model.device), self._caption)
        return of_each(captions, videos)

    def trial(self, size: int) -> None:
        side = self._model.config.vision_config.image_size
        self._generate(torch.zeros((size, 3, side, side), dtype=torch.uint8, device=self._model.device)).cpu()

    def _caption(self, pixels: torch.Tensor) -> list[str]:
        words = self._generate(pixels)
        captions = [text.strip() for text in self._tokenizer.batch_decode(words, skip_special_tokens=True)]
        if not all(captions):
            raise EncoderError(f"BLIP-2 gave {captions.count('')} empty captions of {len(captions)}")
        return captions

    @torch.inference_mode()
    def _generate(self, pixels: torch.Tensor) -> torch.Tensor:
        """(b, 3, h, w) uint8 -> (b, new tokens), padded after their end."""
        watch = _FiniteScores()
        words = self._model.generate(
            pixel_values=self.prepare.scaled(pixels, self._model.dtype),
            **{name: values.expand(len(pixels), -1) for name, values in self._prompt.items()},
            do_sample=False,
            num_beams=1,
            max_new_tokens=self._longest,
            logits_processor=LogitsProcessorList([watch]),
        )
        if bad := int((watch.wrong > 0).sum()):
            raise EncoderError(f"BLIP-2: the scores of {bad} of {len(pixels)} captions are NaN or infinite")
        return words[:, self._prompt["input_ids"].shape[1] :]  # what follows the image and the prompt


class _FiniteScores(LogitsProcessor):
    """Marks the rows whose best score isn't finite: a NaN would choose a token all the same, and silently.

    (Forbidden tokens score minus infinity by design.) The marks stay on the device: nothing waits for them.
    """

    def __init__(self):
        self.wrong = torch.zeros(())

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self.wrong = self.wrong.to(scores.device) + ~torch.isfinite(scores.max(-1).values)
        return scores
