"""Segments of sound to descriptions through CLAP (Wu et al., 2023).

CLAP generates nothing: it puts sounds and texts into one space. So a sound's captions are the nearest of a vocabulary
of descriptions, and their score is the cosine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import ClapModel, PreTrainedTokenizerBase

from models.encoders.pretrained.batching import Batches, finite
from models.encoders.pretrained.nearest import nearest
from models.encoders.pretrained.options import SoundOptions
from models.encoders.pretrained.preparing import CLAPPreparation, of_each, on_device
from models.encoders.roles import Description


class CLAPDescriber:
    """The nearest descriptions of a segment; see `roles.AudioCaptioner`. Its vocabulary is embedded once."""

    def __init__(
        self,
        model: ClapModel,
        prepare: CLAPPreparation,
        tokenizer: PreTrainedTokenizerBase,
        options: SoundOptions,
        *,
        identity: dict[str, Any],
        batch_size: int,
    ):
        self.identity = identity
        self.prepare = prepare
        self.batches = Batches(batch_size)
        self.rate, self.seconds = prepare.rate, prepare.seconds
        self._model = model
        self._tokenizer = tokenizer
        self._top = options.top
        self.descriptions = options.descriptions()
        texts = options.texts()
        rows = Batches(64).run(texts, self._encode_texts, lengths=[len(text) for text in texts])
        self._vocabulary = np.stack(rows)  # (descriptions, d), unit length

    def describe(self, segments: Sequence[np.ndarray], rate: int) -> list[list[Description]]:
        return self.from_prepared([self.prepare(segments, rate)])[0]

    def from_prepared(self, videos: Sequence[torch.Tensor]) -> list[list[list[Description]]]:
        return of_each(nearest(self._encode_all(videos), self._vocabulary, self.descriptions, top=self._top), videos)

    def encode(self, segments: Sequence[np.ndarray], rate: int) -> np.ndarray:
        """n of (samples,) float32 -> (n, d) float32 of unit length, in the space of the descriptions."""
        return self._encode_all([self.prepare(segments, rate)])

    def trial(self, size: int) -> None:
        (shortest,) = self.prepare([np.zeros(self.rate, dtype=np.float32)], self.rate)
        self._encode_sounds(shortest.expand(size, *shortest.shape).to(self._model.device)).cpu()

    def _encode_all(self, videos: Sequence[torch.Tensor]) -> np.ndarray:
        rows = self.batches.run(on_device(videos, self._model.device), self._encode_sounds)
        return finite(torch.stack(rows), "CLAP").numpy() if rows else self._vocabulary[:0]

    @torch.inference_mode()
    def _encode_texts(self, texts: list[str]) -> np.ndarray:
        tokens = self._tokenizer(texts, padding=True, truncation=True, return_tensors="pt").to(self._model.device)
        return finite(self._model.get_text_features(**tokens).pooler_output, "CLAP").numpy()

    @torch.inference_mode()
    def _encode_sounds(self, spectrograms: torch.Tensor) -> torch.Tensor:
        # No segment is longer than the model's ten seconds; the fused extractor would mark one at random all the same.
        longer = torch.zeros((len(spectrograms), 1), dtype=torch.bool, device=spectrograms.device)
        values = spectrograms.to(self._model.dtype)
        return self._model.get_audio_features(values, is_longer=longer).pooler_output  # (b, d)
