"""BLIP-2 (Li et al., 2023) as captioner of frames, for the unified semantic vector of M3TR section 3.3."""

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
from models.encoders.pretrained.preparing import ImagePreparation, on_device, split_by_video


class BLIP2Captioner:
    """A captioner of frames by BLIP-2, one caption per frame, greedy; see `roles.VisualCaptioner`.

    All inputs have the same prompt, so no input of a batch is padded. A batch is done when its longest caption ends.
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
        """Wrap a loaded model; `models.encoders.pretrained.load` calls this."""
        self.identity = identity
        self.prepare = prepare
        self.batches = Batches(batch_size)
        self._model = model
        self._tokenizer = tokenizer
        self._longest = options.max_new_tokens
        processor = Blip2Processor(prepare.processor, tokenizer, num_query_tokens=model.config.num_query_tokens)
        blank = np.zeros((8, 8, 3), dtype=np.uint8)  # the processor adds the image's tokens only if it gets an image
        words = processor(images=blank, text=[options.prompt], return_tensors="pt")
        self._prompt = {name: words[name].to(model.device) for name in ("input_ids", "attention_mask")}  # (1, t)

    def caption(self, images: Sequence[np.ndarray]) -> list[str]:
        """Return one caption per frame of one video, each (h, w, 3) uint8."""
        return self.from_prepared([self.prepare(images)])[0]

    def caption_videos(self, videos: Sequence[Sequence[np.ndarray]]) -> list[list[str]]:
        """Return the result of `caption` per video. A batch may hold frames of several videos."""
        return self.from_prepared([self.prepare(images) for images in videos])

    def from_prepared(self, videos: Sequence[torch.Tensor]) -> list[list[str]]:
        """Return the captions of each video, from its prepared frames (n, 3, h, w) uint8."""
        captions = self.batches.run(on_device(videos, self._model.device), self._caption)
        return split_by_video(captions, videos)

    def trial(self, size: int) -> None:
        """Caption a batch of `size` black frames, to measure the speed of a batch size."""
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
        """Return the new tokens (b, tokens) of pixels (b, 3, h, w) uint8, padded after the end token."""
        scores = _FiniteScores()
        words = self._model.generate(
            pixel_values=self.prepare.scaled(pixels, self._model.dtype),
            **{name: values.expand(len(pixels), -1) for name, values in self._prompt.items()},
            do_sample=False,
            num_beams=1,
            max_new_tokens=self._longest,
            logits_processor=LogitsProcessorList([scores]),
        )
        if bad := int((scores.wrong > 0).sum()):
            raise EncoderError(f"BLIP-2: the scores of {bad} of {len(pixels)} captions are NaN or infinite")
        return words[:, self._prompt["input_ids"].shape[1] :]  # without the tokens of the image and the prompt


class _FiniteScores(LogitsProcessor):
    """A record of the rows whose best score isn't finite: generation would silently pick a token from NaN scores.

    Only the best score is checked, because forbidden tokens have minus infinity by design. The record stays on the device, so
    no step waits for a copy.
    """

    def __init__(self):
        self.wrong = torch.zeros(())

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self.wrong = self.wrong.to(scores.device) + ~torch.isfinite(scores.max(-1).values)
        return scores
