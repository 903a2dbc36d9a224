"""Word vectors from a package: similar meanings are near each other, and no network is asked."""

import importlib.util
import socket
from pathlib import Path

import numpy as np
import pytest

from models.encoders import EncoderError, identity, load, width

pytest.importorskip("wordllama")


@pytest.fixture(scope="module")
def encoder():
    return load("text", "light")


def test_similar_meanings_are_nearer_than_similar_spellings(encoder):
    film, movie, filter_, dog = encoder.encode_sentences(["a film", "a movie", "a filter", "a barking dog"])
    assert film @ movie > 0.5 > film @ filter_
    assert film @ movie > film @ dog
    assert np.linalg.norm(film) == pytest.approx(1, abs=1e-6)


def test_a_sentence_is_the_package_s_own_vector(encoder):
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer
    from wordllama import WordLlamaInference

    files = Path(importlib.util.find_spec("wordllama").origin).parent
    (vectors,) = (files / "weights").glob("*.safetensors")
    tokenizer = Tokenizer.from_file(str(next((files / "tokenizers").glob("*.json"))))
    texts = ["Toy Story (1995)", "x", "Les 400 coups, élégant 🐱 \n twice  spaced"]
    own = WordLlamaInference(load_file(vectors)["embedding.weight"], tokenizer).embed(texts, norm=True)
    np.testing.assert_allclose(encoder.encode_sentences(texts), own, atol=1e-6)


def test_words_have_one_row_each_whatever_their_tokens(encoder):
    title, empty, blank = encoder.encode_words(["Foresight  grooving 🐱🐱!", "", " \n"])
    assert title.shape == (3, 256) and title.dtype == np.float32 and np.isfinite(title).all()
    assert empty.shape == blank.shape == (0, 256)
    (alone,) = encoder.encode_words(["grooving"])
    np.testing.assert_array_equal(title[1], alone[0])


def test_a_text_without_a_word_has_no_sentence_vector(encoder):
    with pytest.raises(EncoderError, match="text 1 holds no word"):
        encoder.encode_sentences(["a", "  "])
    assert encoder.encode_sentences([]).shape == (0, 256)


def test_nothing_is_downloaded(monkeypatch):
    def refuse(*_arguments, **_named):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert load("text", "light").encode_sentences(["a film"]).shape == (1, 256)


def test_the_identity_names_the_package_s_release_and_needs_no_vectors():
    from importlib.metadata import version

    assert identity("text", "light")["revision"] == version("wordllama") and width("text", "light") == 256


def test_without_the_package_the_error_says_how_to_install_it(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "models.encoders.light_words.find_spec", lambda name: None if name == "wordllama" else found(name)
    )
    for call in (identity, load, width):
        with pytest.raises(EncoderError, match=r"pip install 'reelcast\[light\]'"):
            call("text", "light")
