import hashlib
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.hashing import cell_hashes, content_hash, file_hash, row_hashes

SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary())
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


def typed(value):
    """Equal exactly where the hashes must be equal: 1, 1.0 and True differ, and so do 0.0 and -0.0."""
    if isinstance(value, list):
        return ["list", *map(typed, value)]
    if isinstance(value, dict):
        return ["dict", sorted((key, repr(typed(inner))) for key, inner in value.items())]
    return [type(value).__name__, repr(value)]


@given(VALUES, VALUES)
def test_equal_exactly_for_equal_values(one, other):
    assert (content_hash(one) == content_hash(other)) == (typed(one) == typed(other))


@pytest.mark.parametrize(
    "one, other",
    [
        (("ab", "c"), ("a", "bc")),
        ((1,), ("1",)),
        ((1,), (True,)),
        ((1,), (1.0,)),
        ((["a"], []), ([], ["a"])),
        ((b"a",), ("a",)),
        ((np.zeros(4, np.float32),), (np.zeros((2, 2), np.float32),)),
        ((np.zeros(4, np.float32),), (np.zeros(4, np.int32),)),
    ],
)
def test_different_for_what_looks_alike(one, other):
    assert content_hash(*one) != content_hash(*other)


def test_the_order_of_keys_and_the_memory_layout_do_not_count():
    assert content_hash({"a": 1, "b": 2}) == content_hash({"b": 2, "a": 1})
    array = np.arange(6.0).reshape(2, 3)
    assert content_hash(array.T) == content_hash(np.ascontiguousarray(array.T))
    assert content_hash(np.float64(1.5)) == content_hash(1.5)


def test_the_same_in_another_process():
    code = "from storage.hashing import content_hash; print(content_hash('é', {'k': [1, None, 2.5]}))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert other == content_hash("é", {"k": [1, None, 2.5]})


def test_what_cannot_be_hashed_is_refused():
    with pytest.raises(TypeError, match="set; allowed are"):
        content_hash({1, 2})


def test_file_hash(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    assert file_hash(tmp_path / "f") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_hashes_of_rows_are_those_of_the_lists_of_their_values():
    frame = pl.DataFrame(
        {
            "text": ["train", None, "", "é\u0301"],
            "float": [1.5, None, float("nan"), 0.1 + 0.2],
            "count": [1, 2, None, -3],
            "flag": [True, False, None, True],
            "empty": [None] * 4,
        }
    )
    assert row_hashes(frame) == [content_hash(list(row)) for row in frame.iter_rows()]
    assert row_hashes(frame.clear()) == []


def test_hashes_of_rows_tell_zero_from_minus_zero():
    frame = pl.DataFrame({"float": [0.0, -0.0]})
    assert row_hashes(frame) == [content_hash(list(row)) for row in frame.iter_rows()]


def test_texts_in_lists_and_dictionaries_are_hashed_like_other_elements():
    texts = b"str:1:astr:2:\xc3\xa9str:0:"
    assert content_hash(["a", "é", ""]) == hashlib.sha256(b"list:3:" + texts).hexdigest()[:32]
    mixed = b"list:4:" + texts + b"int:1:7"
    assert content_hash(["a", "é", "", 7]) == hashlib.sha256(mixed).hexdigest()[:32]
    pairs = b"dict:2:str:1:astr:1:2str:1:bstr:1:1"
    assert content_hash({"b": "1", "a": "2"}) == hashlib.sha256(pairs).hexdigest()[:32]


@pytest.mark.parametrize("values", [[0.1, -0.0, 1e300, float("nan"), float("inf")], [0, -7, 10**30], ["", "é", "x\0y"]])
def test_a_list_of_one_kind_is_hashed_as_its_values_one_by_one(values):
    """A value of another kind at the end takes the slow way."""
    digest = hashlib.sha256()
    digest.update(b"list:%d:" % len(values))
    for value in values:
        text = (value if isinstance(value, str) else repr(value)).encode()
        digest.update(f"{type(value).__name__}:{len(text)}:".encode() + text)
    assert content_hash(values) == digest.hexdigest()[:32]
    digest.update(b"NoneType:4:None")
    assert content_hash([*values, None]) != digest.hexdigest()[:32]  # another length of the list
    assert content_hash(values, None) == digest.hexdigest()[:32]


def test_cells_are_hashed_as_the_values_of_a_row():
    frame = pl.DataFrame({"a": ["x", None, "é"], "b": [None, "y", ""], "c": [1.5, None, -0.0], "d": [1, 2, 3]})
    assert cell_hashes(frame) == [content_hash(*row) for row in frame.iter_rows()]
