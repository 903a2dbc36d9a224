"""CLAP as describer of sound, run by laion-clap in an environment of its own."""

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
from models.encoders.pretrained.preparing import LaionPreparation, split_by_video
from models.encoders.roles import Description

_TOKENS = 77  # laion-clap pads or cuts every text to this length
_SIZES = ("nb_max_samples", "feature_size", "sampling_rate", "fft_window_size", "hop_length")


class LaionDescriber:
    """A describer of sound by laion-clap's CLAP; see `roles.AudioCaptioner`.

    Checkpoint and tokenizer are the same as with the default backend. Spectrograms and both models are laion-clap's and run
    in a child process. laion-clap has other mel filters and rounds samples to 16 bits, so its vectors differ slightly from
    those of transformers.
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
        """Start the child process and load the model there; `models.encoders.pretrained.load` calls this."""
        self.identity = identity
        self.prepare = prepare
        self.batches = Batches(batch_size)
        self.rate, self.seconds = prepare.rate, prepare.seconds
        self._tokenizer = tokenizer
        self._top = options.top
        folder = str(prepare.checkpoint.folder)
        extractor = {name: int(getattr(prepare.extractor, name)) for name in _SIZES}
        settings = {"folder": folder, "device": device, "dtype": dtype, "extractor": extractor}
        self._model = IsolatedModel(python, "laion-clap", settings)
        self.descriptions = options.descriptions()
        rows = Batches(64).run(options.texts(), self._encode_texts)
        self._vocabulary = np.stack(rows)  # (descriptions, d), unit length

    def describe(self, segments: Sequence[np.ndarray], rate: int) -> list[list[Description]]:
        """Return the nearest descriptions of each segment (samples,) at `rate` samples per second, nearest first."""
        return self.from_prepared([self.prepare(segments, rate)])[0]

    def from_prepared(self, videos: Sequence[torch.Tensor]) -> list[list[list[Description]]]:
        """Return the descriptions of each video's segments, from its prepared segments (n, samples)."""
        return split_by_video(
            nearest(self._encode_all(videos), self._vocabulary, self.descriptions, top=self._top), videos
        )

    def encode(self, segments: Sequence[np.ndarray], rate: int) -> np.ndarray:
        """Return the vectors of n segments (samples,) float32: (n, d) float32 of unit length, in the texts' space."""
        return self._encode_all([self.prepare(segments, rate)])

    def trial(self, size: int) -> None:
        """Encode a batch of `size` silent segments, to measure the speed of a batch size."""
        self._encode_sounds([torch.zeros(round(self.rate * self.seconds))] * size)

    def close(self) -> None:
        """End the child process. It also ends when this object is deleted."""
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
