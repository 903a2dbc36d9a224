"""Word vectors whose weights come with a package: WordLlama's, reduced from a large language model's token embeddings.

The package `wordllama` is used for its two files, the vectors and the tokenizer. Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from models.encoders.errors import EncoderError

VECTORS, TOKENIZER = "weights/l2_supercat_256.safetensors", "tokenizers/l2_supercat_tokenizer_config.json"


class WordVectorEncoder:
    """Vectors of words and sentences that are similar for similar meanings; see `roles.TextEncoder`.

    A word is a run of characters between blanks, and its vector is the mean of its tokens' vectors. A sentence's vector is the
    mean of its tokens' vectors, as the package itself computes it, at unit length.
    """

    width = 256

    def __init__(self) -> None:
        """Create the encoder; the vectors are loaded when a text is encoded.

        Raises:
            EncoderError: The package is not installed.
        """
        found = find_spec("wordllama")
        if found is None:
            raise EncoderError(
                "the package 'wordllama' isn't installed; install it with: pip install 'reelcast[light]'"
            )
        self._folder = Path(found.submodule_search_locations[0])
        self.identity: dict[str, Any] = {
            "name": "wordllama",
            "backend": "numpy",
            "checkpoint": "l2_supercat_256",
            "revision": version("wordllama"),
            "options": {},
            "code": 1,
        }

    @cached_property
    def _vectors(self) -> np.ndarray:
        from safetensors.numpy import load_file

        return load_file(self._folder / VECTORS)["embedding.weight"].astype(np.float32)

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._folder / TOKENIZER))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer

    def encode_words(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Return (words, width) float32 per text; (0, width) for a text without a word."""
        return [
            np.stack([tokens.mean(axis=0) for tokens in self._tokens(words)])
            if (words := text.split())
            else np.zeros((0, self.width), dtype=np.float32)
            for text in texts
        ]

    def encode_sentences(self, texts: Sequence[str]) -> np.ndarray:
        """Return (n, width) float32 of unit length.

        Raises:
            EncoderError: A text holds no word.
        """
        vectors = np.empty((len(texts), self.width), dtype=np.float32)
        for index, (text, tokens) in enumerate(zip(texts, self._tokens(texts), strict=True)):
            if not text.split():
                raise EncoderError(f"text {index} holds no word: {text!r}; a missing text is to be masked, not encoded")
            mean = tokens.mean(axis=0)
            vectors[index] = mean / np.linalg.norm(mean)
        return vectors

    def _tokens(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Return the vectors of each text's tokens, (tokens, width)."""
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [self._vectors[encoding.ids] for encoding in encodings]
