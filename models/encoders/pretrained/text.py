"""Texts through AnglE's UAE (Li and Li, 2024): X_i^t, one row a token (M3TR 3.3), and R_i, one vector a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from models.encoders.errors import EncoderError
from models.encoders.pretrained.batching import Batches, finite
from models.encoders.pretrained.options import TextOptions


class AnglEEncoder:
    """See `roles.TextEncoder`.

    Words are the last layer's rows of the text's own tokens, without the special ones and the padding. Sentences are
    its first row (CLS), scaled to unit length, of the text within the prompt if one is set. Of a text that is too long for
    the model, words are those of its beginning; a sentence is that of its end, where a video's title is.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        options: TextOptions,
        *,
        identity: dict[str, Any],
        batch_size: int,
    ):
        self.identity = identity
        self.batches = Batches(batch_size)
        self.width: int = model.config.hidden_size
        self._model = model
        # A text's first row is its sentence, and its places are counted from there: padding before it would move both.
        tokenizer.padding_side = "right"
        self._tokenizer = tokenizer
        self._prompt = options.prompt
        self._max_tokens = min(options.max_tokens, model.config.max_position_embeddings)

    def encode_words(self, texts: Sequence[str]) -> list[np.ndarray]:
        return self.batches.run(texts, self._words, lengths=self._lengths(texts))

    def encode_sentences(self, texts: Sequence[str]) -> np.ndarray:
        for index, text in enumerate(texts):
            if not text.strip():
                raise EncoderError(f"text {index} holds no word: {text!r}; a missing text is to be masked, not encoded")
        prompted = self._prompted_within_limit(texts)
        rows = self.batches.run(prompted, self._sentences, lengths=self._lengths(prompted))
        return np.stack(rows) if rows else np.zeros((0, self.width), dtype=np.float32)

    def _prompted(self, text: str) -> str:
        return self._prompt.replace("{text}", text) if self._prompt else text

    def _prompted_within_limit(self, texts: Sequence[str]) -> list[str]:
        """Return the texts within the prompt; those of more tokens than the model takes without their beginning."""
        fitted, pending = [self._prompted(text) for text in texts], dict(enumerate(texts))
        while pending:
            counts = [
                len(ids) for ids in self._tokenizer([fitted[index] for index in pending], verbose=False)["input_ids"]
            ]
            pending = {
                index: shorter
                for (index, text), count in zip(pending.items(), counts)
                if (shorter := self._without_beginning(text, count - self._max_tokens))
            }
            for index, text in pending.items():
                fitted[index] = self._prompted(text)
        return fitted

    def _without_beginning(self, text: str, tokens: int) -> str:
        """Return a text without its first tokens; empty if there is nothing to leave out, or nothing would be left."""
        if tokens <= 0:
            return ""
        places = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        starts = [start for start, _ in places["offset_mapping"]]
        return text[starts[tokens] :] if tokens < len(starts) and starts[tokens] else ""

    def trial(self, size: int) -> None:
        self._sentences(["a word " * 32] * size)

    def _lengths(self, texts: Sequence[str]) -> list[int]:
        return [len(text) for text in texts]

    @torch.inference_mode()
    def _words(self, texts: list[str]) -> list[np.ndarray]:
        hidden, own = self._hidden(texts)
        return [rows[kept].numpy() for rows, kept in zip(finite(hidden, "AnglE"), own)]

    @torch.inference_mode()
    def _sentences(self, texts: list[str]) -> np.ndarray:
        first = self._hidden(texts)[0][:, 0].float()
        return finite(torch.nn.functional.normalize(first, dim=-1), "AnglE").numpy()

    def _hidden(self, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """The last layer (b, t, d), and which of its rows are a token of the text itself (b, t) bool."""
        tokens = self._tokenizer(
            list(texts),
            padding=True,
            truncation=True,
            max_length=self._max_tokens,
            return_special_tokens_mask=True,
            return_tensors="pt",
        )
        own = (tokens.pop("special_tokens_mask") == 0) & (tokens["attention_mask"] == 1)
        return self._last_layer(tokens.to(self._model.device)), own

    def _last_layer(self, tokens: Any) -> torch.Tensor:
        return self._model(**tokens).last_hidden_state
