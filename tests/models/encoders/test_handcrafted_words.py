"""Hashed words: neighbours by spelling and by common words, the same in every process."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.encoders import EncoderError, load
from models.encoders.handcrafted.words import split_words

ENCODER = load("text", "handcrafted")


def test_words_are_split_and_folded():
    assert split_words("Don’t STOP, it's 5pm #Dance_off 🐱🐱!") == [
        "don’t",
        "stop",
        "it's",
        "5pm",
        "dance",
        "off",
        "🐱",
        "🐱",
    ]
    assert split_words("?!") == ["?!"] and split_words("  ") == []


def test_each_word_has_a_row():
    first, empty, again = ENCODER.encode_words(["one two", "", "two"])
    assert first.shape == (2, ENCODER.width) and empty.shape == (0, ENCODER.width)
    np.testing.assert_array_equal(first[1], again[0])


def test_kin_are_nearer_than_strangers():
    dance, dancing, tractor = (rows[0] for rows in ENCODER.encode_words(["dance", "dancing", "tractor"]))
    assert dance @ dancing > dance @ tractor + 0.1
    cat, kitten, engine = ENCODER.encode_sentences(
        ["my cat plays the piano", "a cat that plays", "how to repair an engine"]
    )
    assert cat @ kitten > cat @ engine + 0.3


def test_strangers_are_nearly_orthogonal():
    strangers = "cat engine music beach winter doctor salad football yellow happy robot queen flight jungle vlog"
    (words,) = ENCODER.encode_words([strangers])
    assert np.abs(words @ words.T - np.eye(len(words))).max() < 0.35
    assert abs((words @ words.T - np.eye(len(words))).mean()) < 0.02


def test_common_words_weigh_less():
    with_article, without, other = ENCODER.encode_sentences(
        ["the cat is in the house", "cat house", "the dog is in the car"]
    )
    assert with_article @ without > 0.9 > 0.3 > with_article @ other


def test_values_do_not_depend_on_the_process():
    # The figure itself: Python's own hash changes with every process and would pass any test within one.
    vector = ENCODER.encode_sentences(["a stable sentence"])[0]
    assert np.abs(vector).sum() == pytest.approx(7.8222, abs=1e-3)


def test_an_empty_text_is_refused():
    with pytest.raises(EncoderError, match="text 1 holds no word: ' '"):
        ENCODER.encode_sentences(["words", " "])


def test_the_width_is_an_option():
    assert load("text", "handcrafted", width=64).encode_sentences(["words"]).shape == (1, 64)
    with pytest.raises(ValueError, match="width must be at least 8"):
        load("text", "handcrafted", width=4)


@given(st.text())
def test_any_text_gives_unit_length_or_is_refused(text):
    if text.split():
        assert np.linalg.norm(ENCODER.encode_sentences([text])[0]) == pytest.approx(1, abs=1e-5)
    else:
        with pytest.raises(EncoderError):
            ENCODER.encode_sentences([text])
    (rows,) = ENCODER.encode_words([text])
    assert len(rows) == len(split_words(text)) and np.isfinite(rows).all()
