"""Segments of sound to descriptions through CLAP as laion-clap runs it, in that library's own environment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from models.encoders.isolated.process import IsolatedModel
from models.encoders.pretrained.batching import Batches, finite
from models.encoders.pretrained.nearest import nearest
from models.encoders.pretrained.options import SoundOptions
from models.encoders.pretrained.preparing import LaionPreparation, of_each
from models.encoders.roles import Description

_TOKENS = 77  # to which laion-clap pads and cuts every text
_SIZES = ("nb_max_samples", "feature_size", "sampling_rate", "fft_window_size", "hop_length")


class LaionDescriber:
    """The nearest descriptions of a segment; see `roles.AudioCaptioner`.

    Checkpoint and tokenizer are those of the default backend; spectrograms and both towers are laion-clap's, in a child
    process. Its mel filters and its rounding of samples to 16 bits differ from transformers', so vectors do, slightly.
    """

    def __init__(
        self,
        python: Path,
        prepare: LaionPreparation,
        tokenizer: PreTrainedTokenizerBase,
        options: SoundOptions,
        *,
        identity: dict[str, Any],
        device: str,
        dtype: str,
        batch_size: int,
    ):
        self.identity = identity
        self.prepare = prepare
        self.batches = Batches(batch_size)
        self.rate, self.seconds = prepare.rate, prepare.seconds
        self._tokenizer = tokenizer
        self._top = options.top
        folder = str(prepare.checkpoint.folder)
        extractor = {name: int(getattr(prepare.extractor, name)) for name in _SIZES}
        told = {"folder": folder, "device": device, "dtype": dtype, "extractor": extractor}
        self._model = IsolatedModel(python, "laion-clap", told)
        self.descriptions = options.descriptions()
        rows = Batches(64).run(options.texts(), self._encode_texts)
        self._vocabulary = np.stack(rows)  # (descriptions, d), unit length

    def describe(self, segments: Sequence[np.ndarray], rate: int) -> list[list[Description]]:
        return self.from_prepared([self.prepare(segments, rate)])[0]

    def from_prepared(self, videos: Sequence[torch.Tensor]) -> list[list[list[Description]]]:
        return of_each(nearest(self._encode_all(videos), self._vocabulary, self.descriptions, top=self._top), videos)

    def encode(self, segments: Sequence[np.ndarray], rate: int) -> np.ndarray:
        """n of (samples,) float32 -> (n, d) float32 of unit length, in the space of the descriptions."""
        return self._encode_all([self.prepare(segments, rate)])

    def trial(self, size: int) -> None:
        self._encode_sounds([torch.zeros(round(self.rate * self.seconds))] * size)

    def close(self) -> None:
        """End the child process; it ends with this object too."""
        self._model.close()

    def _encode_all(self, videos: Sequence[torch.Tensor]) -> np.ndarray:
        rows = self.batches.run([row for video in videos for row in video], self._encode_sounds)
        return np.stack(rows) if rows else self._vocabulary[:0]

    def _encode_sounds(self, sounds: list[torch.Tensor]) -> np.ndarray:
        return self._finite(self._model(sounds=torch.stack(sounds).numpy()))

    def _encode_texts(self, texts: list[str]) -> np.ndarray:
        length = min(_TOKENS, self._tokenizer.model_max_length)
        tokens = self._tokenizer(texts, padding="max_length", truncation=True, max_length=length, return_tensors="np")
        return self._finite(self._model(words=tokens["input_ids"], mask=tokens["attention_mask"]))

    def _finite(self, answer: dict[str, np.ndarray]) -> np.ndarray:
        return finite(torch.from_numpy(answer["vectors"]), "CLAP").numpy()
