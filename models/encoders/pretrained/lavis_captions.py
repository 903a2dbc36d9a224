"""Frames to sentences through BLIP-2 as LAVIS runs it, in LAVIS's own environment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import Blip2Processor, PreTrainedTokenizerBase

from models.encoders.errors import EncoderError
from models.encoders.isolated.process import IsolatedModel
from models.encoders.pretrained.batching import Batches
from models.encoders.pretrained.options import CaptionOptions
from models.encoders.pretrained.preparing import ImagePreparation, of_each


class LavisCaptioner:
    """One caption a frame, greedily; see `roles.VisualCaptioner`.

    Checkpoint, preparation and tokenizer are those of the default backend; vision side, Q-Former and language model are
    LAVIS's, in a child process.
    """

    def __init__(
        self,
        python: Path,
        prepare: ImagePreparation,
        tokenizer: PreTrainedTokenizerBase,
        options: CaptionOptions,
        *,
        identity: dict[str, Any],
        device: str,
        dtype: str,
        queries: int,
        batch_size: int,
    ):
        self.identity = identity
        self.prepare = prepare
        self.batches = Batches(batch_size)
        self._tokenizer = tokenizer
        processor = Blip2Processor(prepare.processor, tokenizer, num_query_tokens=queries)
        nothing = np.zeros((8, 8, 3), dtype=np.uint8)
        words = processor(images=nothing, text=[options.prompt])["input_ids"][0][queries:]
        self._model = IsolatedModel(
            python,
            "lavis",
            {
                "folder": str(prepare.checkpoint.folder),
                "device": device,
                "dtype": dtype,
                "prompt": [int(word) for word in words],
                "longest": options.max_new_tokens,
            },
        )
        self._prompt_length = len(words)

    def caption(self, images: Sequence[np.ndarray]) -> list[str]:
        return self.from_prepared([self.prepare(images)])[0]

    def caption_videos(self, videos: Sequence[Sequence[np.ndarray]]) -> list[list[str]]:
        return self.from_prepared([self.prepare(images) for images in videos])

    def from_prepared(self, videos: Sequence[torch.Tensor]) -> list[list[str]]:
        rows = [row for video in videos for row in video]
        return of_each(self.batches.run(rows, self._caption), videos)

    def trial(self, size: int) -> None:
        self._generate([torch.zeros((3, *self.prepare.size()), dtype=torch.uint8)] * size)

    def close(self) -> None:
        """End the child process; it ends with this object too."""
        self._model.close()

    def _generate(self, images: list[torch.Tensor]) -> np.ndarray:
        """b of (3, h, w) uint8 -> (b, new tokens)."""
        return self._model(pixels=self.prepare.scaled(torch.stack(images), torch.float32).numpy())["words"]

    def _caption(self, images: list[torch.Tensor]) -> list[str]:
        captions = [
            text.strip() for text in self._tokenizer.batch_decode(self._generate(images), skip_special_tokens=True)
        ]
        if not all(captions):
            raise EncoderError(f"BLIP-2 gave {captions.count('')} empty captions of {len(captions)}")
        return captions
