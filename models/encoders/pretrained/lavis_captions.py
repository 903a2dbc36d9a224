"""BLIP-2 as captioner of frames, run by LAVIS in an environment of its own."""

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
from models.encoders.pretrained.preparing import ImagePreparation, split_by_video


class LavisCaptioner:
    """A captioner of frames by LAVIS's BLIP-2, one caption per frame, greedy; see `roles.VisualCaptioner`.

    Checkpoint, preparation and tokenizer are the same as with the default backend. The vision side, the Q-Former and the
    language model are LAVIS's and run in a child process.
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
        """Start the child process and load the model there; `models.encoders.pretrained.load` calls this."""
        self.identity = identity
        self.prepare = prepare
        self.batches = Batches(batch_size)
        self._tokenizer = tokenizer
        processor = Blip2Processor(prepare.processor, tokenizer, num_query_tokens=queries)
        blank = np.zeros((8, 8, 3), dtype=np.uint8)
        words = processor(images=blank, text=[options.prompt])["input_ids"][0][queries:]
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
        """Return one caption per frame of one video, each (h, w, 3) uint8."""
        return self.from_prepared([self.prepare(images)])[0]

    def caption_videos(self, videos: Sequence[Sequence[np.ndarray]]) -> list[list[str]]:
        """Return the result of `caption` per video. A batch may hold frames of several videos."""
        return self.from_prepared([self.prepare(images) for images in videos])

    def from_prepared(self, videos: Sequence[torch.Tensor]) -> list[list[str]]:
        """Return the captions of each video, from its prepared frames (n, 3, h, w) uint8."""
        rows = [row for video in videos for row in video]
        return split_by_video(self.batches.run(rows, self._caption), videos)

    def trial(self, size: int) -> None:
        """Caption a batch of `size` black frames, to measure the speed of a batch size."""
        self._generate([torch.zeros((3, *self.prepare.size()), dtype=torch.uint8)] * size)

    def close(self) -> None:
        """End the child process. It also ends when this object is deleted."""
        self._model.close()

    def _generate(self, images: list[torch.Tensor]) -> np.ndarray:
        """Return the new tokens (b, tokens) of b prepared frames (3, h, w) uint8."""
        return self._model(pixels=self.prepare.scaled(torch.stack(images), torch.float32).numpy())["words"]

    def _caption(self, images: list[torch.Tensor]) -> list[str]:
        captions = [
            text.strip() for text in self._tokenizer.batch_decode(self._generate(images), skip_special_tokens=True)
        ]
        if not all(captions):
            raise EncoderError(f"BLIP-2 gave {captions.count('')} empty captions of {len(captions)}")
        return captions
