"""CLAP (Wu et al., 2023) as describer of sound.

CLAP generates no text: it embeds sounds and texts in the same space. So a sound's captions are the nearest descriptions of a
vocabulary, and their score is the cosine.
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
from models.encoders.pretrained.preparing import CLAPPreparation, on_device, split_by_video
from models.encoders.roles import Description


class CLAPDescriber:
    """A describer of sound by CLAP: the nearest descriptions of a vocabulary; see `roles.AudioCaptioner`."""

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
        """Wrap a loaded model and embed the vocabulary; `models.encoders.pretrained.load` calls this."""
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
        """Return the nearest descriptions of each segment (samples,) at `rate` samples per second, nearest first."""
        return self.from_prepared([self.prepare(segments, rate)])[0]

    def from_prepared(self, videos: Sequence[torch.Tensor]) -> list[list[list[Description]]]:
        """Return the descriptions of each video's segments, from its spectrograms (n, crops, windows, mel)."""
        return split_by_video(
            nearest(self._encode_all(videos), self._vocabulary, self.descriptions, top=self._top), videos
        )

    def encode(self, segments: Sequence[np.ndarray], rate: int) -> np.ndarray:
        """Return the vectors of n segments (samples,) float32: (n, d) float32 of unit length, in the texts' space."""
        return self._encode_all([self.prepare(segments, rate)])

    def trial(self, size: int) -> None:
        """Encode a batch of `size` silent segments, to measure the speed of a batch size."""
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
        # No segment is longer than the model's ten seconds, yet the fused extractor marks a random one as longer.
        longer = torch.zeros((len(spectrograms), 1), dtype=torch.bool, device=spectrograms.device)
        values = spectrograms.to(self._model.dtype)
        return self._model.get_audio_features(values, is_longer=longer).pooler_output  # (b, d)
