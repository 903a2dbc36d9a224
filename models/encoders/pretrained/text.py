"""AnglE's UAE (Li and Li, 2024) as encoder of texts: X_i^t, one row per token, and R_i, one vector per text (M3TR 3.3)."""

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
    """An encoder of texts by UAE; see `roles.TextEncoder`.

    Word vectors are the last layer's rows of the text's own tokens, without special tokens and padding. A sentence vector is
    the last layer's first row (CLS), scaled to unit length; the text is put into the prompt first, if there is one.

    If a text is too long for the model, word vectors cover its beginning. A sentence vector covers its end, because a
    retrieval text ends with the video's title.
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
        """Wrap a loaded model; `models.encoders.pretrained.load` calls this."""
        self.identity = identity
        self.batches = Batches(batch_size)
        self.width: int = model.config.hidden_size
        self._model = model
        # A sentence is the first row, and positions count from it: padding on the left would move both.
        tokenizer.padding_side = "right"
        self._tokenizer = tokenizer
        self._prompt = options.prompt
        self._max_tokens = min(options.max_tokens, model.config.max_position_embeddings)

    def encode_words(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Return (tokens, width) float32 per text; (0, width) for an empty text."""
        return self.batches.run(texts, self._words, lengths=self._lengths(texts))

    def encode_sentences(self, texts: Sequence[str]) -> np.ndarray:
        """Return one vector of unit length per text: (n, width) float32.

        Raises:
            EncoderError: A text is empty, or a vector is not finite.
        """
        for index, text in enumerate(texts):
            if not text.strip():
                raise EncoderError(f"text {index} holds no word: {text!r}; a missing text is to be masked, not encoded")
        prompted = self._prompted_within_limit(texts)
        rows = self.batches.run(prompted, self._sentences, lengths=self._lengths(prompted))
        return np.stack(rows) if rows else np.zeros((0, self.width), dtype=np.float32)

    def _prompted(self, text: str) -> str:
        return self._prompt.replace("{text}", text) if self._prompt else text

    def _prompted_within_limit(self, texts: Sequence[str]) -> list[str]:
        """Put each text into the prompt; cut the beginning of a text that then has more tokens than the model takes."""
        results, pending = [self._prompted(text) for text in texts], dict(enumerate(texts))
        while pending:
            counts = [
                len(ids) for ids in self._tokenizer([results[index] for index in pending], verbose=False)["input_ids"]
            ]
            pending = {
                index: shorter
                for (index, text), count in zip(pending.items(), counts)
                if (shorter := self._without_beginning(text, count - self._max_tokens))
            }
            for index, text in pending.items():
                results[index] = self._prompted(text)
        return results

    def _without_beginning(self, text: str, tokens: int) -> str:
        """Return a text without its first `tokens` tokens; empty if `tokens` is not positive or no text would remain."""
        if tokens <= 0:
            return ""
        encoding = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        starts = [start for start, _ in encoding["offset_mapping"]]
        return text[starts[tokens] :] if tokens < len(starts) and starts[tokens] else ""

    def trial(self, size: int) -> None:
        """Encode a batch of `size` texts of 64 words, to measure the speed of a batch size."""
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
        """Return the last layer (b, t, d), and whether each row is a token of the text itself (b, t) bool."""
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
