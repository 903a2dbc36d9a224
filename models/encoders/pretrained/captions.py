"""Frames to sentences through BLIP-2 (Li et al., 2023), as M3TR 3.3 does for the unified semantic vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoTokenizer, Blip2ForConditionalGeneration, Blip2Processor

from models.encoders.errors import EncoderError
from models.encoders.images import checked_images
from models.encoders.pretrained.batching import Batches, finite
from models.encoders.pretrained.checkpoints import Checkpoint
from models.encoders.pretrained.loading import from_folder, load_model
from models.encoders.pretrained.options import CaptionOptions


class BLIP2Captioner:
    """One caption a frame, greedily; see `roles.VisualCaptioner`. All prompts are the same, so no input is padded."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        options: CaptionOptions,
        *,
        identity: dict[str, Any],
        device: str,
        dtype: str,
        batch_size: int,
    ):
        self.identity = identity
        self._model = load_model(Blip2ForConditionalGeneration, checkpoint, device=device, dtype=dtype)
        self._processor = Blip2Processor(
            from_folder(AutoImageProcessor.from_pretrained, checkpoint, backend="pil"),
            from_folder(AutoTokenizer.from_pretrained, checkpoint),
            num_query_tokens=self._model.config.num_query_tokens,
        )
        self._options = options
        self._batches = Batches(batch_size)

    def caption(self, images: Sequence[np.ndarray]) -> list[str]:
        return self._batches.run(checked_images(images), self._caption)

    def caption_videos(self, videos: Sequence[Sequence[np.ndarray]]) -> list[list[str]]:
        captions = iter(self.caption([image for images in videos for image in images]))
        return [[next(captions) for _ in images] for images in videos]

    @torch.inference_mode()
    def _caption(self, images: list[np.ndarray]) -> list[str]:
        inputs = self._processor(
            images=[Image.fromarray(image) for image in images],
            text=[self._options.prompt] * len(images),
            return_tensors="pt",
        ).to(self._model.device, self._model.dtype)
        result = self._model.generate(
            **inputs,
            do_sample=False,
            num_beams=1,
            max_new_tokens=self._options.max_new_tokens,
            return_dict_in_generate=True,
            output_scores=True,
        )
        # Forbidden tokens score minus infinity by design; a NaN would choose a token all the same, and silently.
        finite(torch.stack([score.max(-1).values for score in result.scores], 1), "BLIP-2")
        words = result.sequences[:, inputs["input_ids"].shape[1] :]  # what follows the image and the prompt
        captions = [text.strip() for text in self._processor.batch_decode(words, skip_special_tokens=True)]
        if not all(captions):
            raise EncoderError(f"BLIP-2 gave {captions.count('')} empty captions of {len(captions)}")
        return captions
