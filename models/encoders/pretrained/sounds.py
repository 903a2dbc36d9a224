"""Segments of sound to descriptions through CLAP (Wu et al., 2023).

CLAP generates nothing: it puts sounds and texts into one space. So a sound's captions are the nearest of a vocabulary
of descriptions, and their score is the cosine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import AutoFeatureExtractor, AutoTokenizer, ClapModel

from models.encoders.pretrained.batching import Batches, finite
from models.encoders.pretrained.checkpoints import Checkpoint
from models.encoders.pretrained.loading import from_folder, load_model
from models.encoders.pretrained.options import SoundOptions
from models.encoders.pretrained.segments import fitted
from models.encoders.roles import Description


class CLAPDescriber:
    """The nearest descriptions of a segment; see `roles.AudioCaptioner`. Its vocabulary is embedded once."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        options: SoundOptions,
        *,
        identity: dict[str, Any],
        device: str,
        dtype: str,
        batch_size: int,
    ):
        self.identity = identity
        self._extractor = from_folder(AutoFeatureExtractor.from_pretrained, checkpoint)
        self._tokenizer = from_folder(AutoTokenizer.from_pretrained, checkpoint)
        self._model = load_model(ClapModel, checkpoint, device=device, dtype=dtype)
        self._fused = self._model.config.audio_config.enable_fusion
        self._batches = Batches(batch_size)
        self._top = options.top
        self.rate: int = self._extractor.sampling_rate
        self.seconds = float(self._extractor.max_length_s)
        self.descriptions = options.descriptions()
        texts = [options.template.replace("{text}", description) for description in self.descriptions]
        rows = self._batches.run(texts, self._encode_texts, lengths=[len(text) for text in texts])
        self._vocabulary = np.stack(rows)  # (descriptions, d), unit length

    def describe(self, segments: Sequence[np.ndarray], rate: int) -> list[list[Description]]:
        vectors = self.encode(segments, rate)
        cosines = vectors @ self._vocabulary.T  # (n, descriptions)
        best = np.argsort(-cosines, axis=1, kind="stable")[:, : self._top]
        return [
            [(self.descriptions[column], float(row[column])) for column in columns]
            for row, columns in zip(cosines, best)
        ]

    def encode(self, segments: Sequence[np.ndarray], rate: int) -> np.ndarray:
        """n of (samples,) float32 -> (n, d) float32 of unit length, in the space of the descriptions."""
        sounds = fitted(segments, rate, to_rate=self.rate, longest=int(self._extractor.nb_max_samples))
        rows = self._batches.run(sounds, self._encode_sounds)
        return np.stack(rows) if rows else np.zeros((0, self._vocabulary.shape[1]), dtype=np.float32)

    @torch.inference_mode()
    def _encode_texts(self, texts: list[str]) -> np.ndarray:
        tokens = self._tokenizer(texts, padding=True, truncation=True, return_tensors="pt").to(self._model.device)
        return finite(self._model.get_text_features(**tokens).pooler_output, "CLAP").numpy()

    @torch.inference_mode()
    def _encode_sounds(self, sounds: list[np.ndarray]) -> np.ndarray:
        features = self._extractor(
            sounds,
            sampling_rate=self.rate,
            truncation="fusion" if self._fused else "rand_trunc",
            padding="repeatpad",
            return_tensors="pt",
        )
        # No segment is longer than the model's ten seconds; the fused extractor would mark one at random all the same.
        longer = torch.zeros((len(sounds), 1), dtype=torch.bool, device=self._model.device)
        values = features["input_features"].to(self._model.device, self._model.dtype)
        return finite(self._model.get_audio_features(values, is_longer=longer).pooler_output, "CLAP").numpy()
