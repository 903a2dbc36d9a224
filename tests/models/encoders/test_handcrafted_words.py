"""Hashed words: similar spelling and shared words give similar vectors, the same in every process."""

import unicodedata

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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("नमस्ते दुनिया।", ["नमस्ते", "दुनिया"]),
        ("বাংলা ভাষা", ["বাংলা", "ভাষা"]),
        ("தமிழ் மொழி", ["தமிழ்", "மொழி"]),
        ("ക്ഷേത്രം മലയാളം", ["ക്ഷേത്രം", "മലയാളം"]),
        ("สวัสดี ชาวโลก", ["สวัสดี", "ชาวโลก"]),
        ("မြန်မာ ဘာသာ", ["မြန်မာ", "ဘာသာ"]),
        ("שָׁלוֹם עוֹלָם", ["שָׁלוֹם", "עוֹלָם"]),
        ('צה"ל ארה״ב', ['צה"ל', "ארה״ב"]),
        ("\u200fمَرْحَبًا بِالْعَالَم\u200f", ["مَرْحَبًا", "بِالْعَالَم"]),
        ("می\u200cخواهم بروم", ["می\u200cخواهم", "بروم"]),
        ("한국어 단어", ["한국어", "단어"]),
        ("½ x² Ⅷ", ["½", "x²", "ⅷ"]),
    ],
)
def test_words_of_any_script_are_not_cut(text, words):
    expected = [unicodedata.normalize("NFC", word) for word in words]
    assert split_words(text) == expected
    for form in ("NFC", "NFD"):
        assert split_words(unicodedata.normalize(form, text)) == expected


def test_a_decomposed_word_is_the_composed_one():
    text = "Café crème brûlée, İstanbul"
    assert split_words(text)[:3] == ["café", "crème", "brûlée"] and len(split_words(text)) == 4
    composed, decomposed = ENCODER.encode_sentences([unicodedata.normalize(form, text) for form in ("NFC", "NFD")])
    np.testing.assert_array_equal(composed, decomposed)


def test_a_symbol_is_one_word_and_punctuation_is_none():
    assert split_words("❤️ 👨\u200d👩\u200d👧 🇩🇪 👍🏽 €5") == ["❤️", "👨\u200d👩\u200d👧", "🇩🇪", "👍🏽", "€", "5"]
    assert split_words("“Hello” — world… 中文！") == ["hello", "world", "中文"]
    assert split_words("——") == ["——"]


def test_each_word_has_a_row():
    first, empty, again = ENCODER.encode_words(["one two", "", "two"])
    assert first.shape == (2, ENCODER.width) and empty.shape == (0, ENCODER.width)
    np.testing.assert_array_equal(first[1], again[0])


def test_words_of_similar_spelling_are_nearer_than_unrelated_words():
    dance, dancing, tractor = (rows[0] for rows in ENCODER.encode_words(["dance", "dancing", "tractor"]))
    assert dance @ dancing > dance @ tractor + 0.1
    cat, kitten, engine = ENCODER.encode_sentences(
        ["my cat plays the piano", "a cat that plays", "how to repair an engine"]
    )
    assert cat @ kitten > cat @ engine + 0.3


def test_unrelated_words_are_nearly_orthogonal():
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
