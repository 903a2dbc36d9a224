"""Word vectors without a vocabulary: signed feature hashing of a word and its character n-grams.

A feature's hash selects the component and the sign with which it is added, so inner products are kept in expectation
(Weinberger et al., "Feature hashing for large scale multitask learning", 2009). Shared character n-grams make the vectors
of "dance" and "dancing" similar.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import regex

from models.encoders.errors import EncoderError

# A letter or number with its combining marks (accents, vowel signs) and invisible joiners.
_LETTER = r"[\p{L}\p{N}][\p{M}\u00AD\u200C\u200D]*"
# A word. Hebrew abbreviations have a quotation mark before their last letter. A symbol such as an emoji is a word too, with
# all code points of its grapheme.
_WORD = regex.compile(
    rf"(?:{_LETTER})+(?:(?:['’׳״]|(?<=\p{{Hebrew}}\p{{M}}*)\"(?=\p{{Hebrew}}))(?:{_LETTER})+)*|(?=[\p{{S}}--[!-~]])\X",
    regex.VERSION1,
)
_PLACES = 4  # components per feature: several make collisions less harmful
_GRAMS = (3, 4)  # lengths of the character n-grams
_GRAM_WEIGHT = 1.0  # norm of the n-grams' part; the word's own part has norm 1
_COMMON_WEIGHT = 0.2  # weight of function words, which nearly every sentence has
_COMMON = frozenset(
    [
        *(
            "a",
            "an",
            "and",
            "are",
            "as",
            "at",
            "be",
            "but",
            "by",
            "for",
            "from",
            "has",
            "have",
            "he",
            "her",
            "his",
            "i",
        ),
        *("if", "in", "is", "it", "its", "me", "more", "most", "mostly", "my", "no", "not", "of", "on", "or", "our"),
        *("out", "she", "so", "some", "that", "the", "their", "them", "there", "they", "this", "to", "up", "was", "we"),
        *("were", "what", "when", "which", "who", "will", "with", "you", "your"),
    ]
)


class HashedWordEncoder:
    """An encoder of texts by feature hashing; see `roles.TextEncoder`.

    Example:
        >>> (words,) = HashedWordEncoder(width=64).encode_words(["a dancing dog"])
        >>> words.shape
        (3, 64)
    """

    def __init__(self, *, width: int = 256):
        """Create an encoder of vectors of length `width`.

        Args:
            width: At least 8. A larger width has fewer collisions and needs more storage.

        Raises:
            ValueError: `width` is below 8.
        """
        if width < 8:
            raise ValueError(f"width must be at least 8, not {width}")
        self.width = width
        self.identity: dict[str, Any] = {
            "name": "hashed-words",
            "backend": "numpy",
            "checkpoint": None,
            "revision": None,
            "options": {"width": width},
            "code": 2,
        }

    def encode_words(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Return (words, width) float32 per text; (0, width) for a text without a word."""
        return [
            np.stack([_word_vector(word, self.width) for word in words])
            if (words := split_words(text))
            else np.zeros((0, self.width), dtype=np.float32)
            for text in texts
        ]

    def encode_sentences(self, texts: Sequence[str]) -> np.ndarray:
        """Return (n, width) float32 of unit length: weighted sums of the word vectors.

        A word that occurs `count` times has the weight 1 + log(count); function words have a fifth of that.

        Raises:
            EncoderError: A text holds no word.
        """
        vectors = np.empty((len(texts), self.width), dtype=np.float32)
        for index, text in enumerate(texts):
            counts = Counter(split_words(text))
            if not counts:
                raise EncoderError(f"text {index} holds no word: {text!r}; a missing text is to be masked, not encoded")
            # Sublinear: the tenth mention of a word tells less than the first.
            weights = [
                (1 + np.log(count)) * (_COMMON_WEIGHT if word in _COMMON else 1.0) for word, count in counts.items()
            ]
            vector = np.asarray(weights, dtype=np.float32) @ np.stack([_word_vector(w, self.width) for w in counts])
            vectors[index] = vector / np.linalg.norm(vector)
        return vectors


def split_words(text: str) -> list[str]:
    """Return a text's words, case folded and composed (NFC).

    A text without letters, numbers or symbols is split at blanks instead.

    Example:
        >>> split_words("Don't stop, DANCING!")
        ["don't", 'stop', 'dancing']
    """
    folded = unicodedata.normalize("NFC", text.casefold())
    return _WORD.findall(folded) or folded.split()


@lru_cache(maxsize=65536)
def _word_vector(word: str, width: int) -> np.ndarray:
    """Return a word's vector, (width,) float32 of unit length."""
    marked = f"<{word}>"
    grams = {marked[at : at + size] for size in _GRAMS for at in range(len(marked) - size + 1)} - {marked}
    vector = np.zeros(width, dtype=np.float32)
    _add(vector, f"word {word}", 1.0)
    for gram in sorted(grams):
        _add(vector, f"gram {gram}", _GRAM_WEIGHT / len(grams) ** 0.5)
    vector /= np.linalg.norm(vector)
    vector.flags.writeable = False
    return vector


def _add(vector: np.ndarray, feature: str, weight: float) -> None:
    digest = hashlib.blake2b(feature.encode(), digest_size=4 * _PLACES).digest()
    for number in np.frombuffer(digest, dtype="<u4").tolist():
        vector[(number >> 1) % len(vector)] += weight / _PLACES**0.5 * (1 if number & 1 else -1)
