import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.duplicates import duplicate_groups, similar_pairs


def slow_pairs(hashes: np.ndarray, distance: float) -> list[tuple[int, int]]:
    found = []
    for i in range(len(hashes)):
        for j in range(i + 1, len(hashes)):
            counted = [(int(a), int(b)) for a, b in zip(hashes[i], hashes[j]) if a and b]
            if counted and 2 * len(counted) >= hashes.shape[1]:
                differing = sum((a ^ b).bit_count() for a, b in counted)
                if differing <= distance * len(counted):
                    found.append((i, j))
    return found


@st.composite
def hash_sets(draw) -> np.ndarray:
    """Hashes near a few centres, some of them flat."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    items, frames = draw(st.integers(1, 25)), draw(st.integers(1, 5))
    hashes = random.integers(1, 2**64, (3, frames), dtype=np.uint64)[random.integers(0, 3, items)]
    for _ in range(draw(st.integers(0, 12))):
        hashes ^= np.uint64(1) << random.integers(0, 64, hashes.shape, dtype=np.uint64)
    return np.where(random.random(hashes.shape) < draw(st.sampled_from([0, 0.2, 0.6])), np.uint64(0), hashes)


@given(hash_sets(), st.sampled_from([0, 1, 2.5, 4, 8.25, 64]))
def test_pairs_equal_the_slow_ones(hashes, distance):
    assert sorted(map(tuple, similar_pairs(hashes, distance=distance).tolist())) == slow_pairs(hashes, distance)


@given(hash_sets(), st.sampled_from([0, 4, 8]))
def test_pairs_do_not_depend_on_the_blocks(hashes, distance):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("storage.duplicates.BLOCK", 4)
        assert sorted(map(tuple, similar_pairs(hashes, distance=distance).tolist())) == slow_pairs(hashes, distance)


def test_the_mean_counts_and_not_each_frame():
    one = np.array([0xFF00, 0xFF00], np.uint64)
    other = one ^ np.array([0b1111_1111, 0], np.uint64)
    assert len(similar_pairs(np.stack([one, other]), distance=4)) == 1
    assert len(similar_pairs(np.stack([one, other]), distance=3.9)) == 0


def test_flat_frames_say_nothing():
    flat = np.zeros((5, 4), np.uint64)
    assert len(similar_pairs(flat, distance=64)) == 0
    half = np.array([[7, 7, 0, 0], [7, 7, 5, 5], [7, 0, 0, 0]], np.uint64)
    assert similar_pairs(half, distance=0).tolist() == [[0, 1]]


def test_groups_join_bytes_and_frames_over_any_number_of_steps():
    frames = np.array([[1 << 40], [(1 << 40) | 1], [(1 << 40) | 3], [1 << 20], [0], [0]], np.uint64)
    sha256 = ["a", "b", "c", "c", None, None]
    groups = duplicate_groups(list("pqrstu"), sha256, frames, distance=1)
    assert len(set(groups[:4])) == 1  # p-q and q-r by frames, r-s by bytes; p-r are two bits apart
    assert len(set(groups.tolist())) == 3
    assert groups.dtype == np.int64 and (groups >= 0).all()


def test_without_frames_only_bytes_count():
    groups = duplicate_groups(list("abc"), ["x", None, "x"], None, distance=4)
    assert groups[0] == groups[2] != groups[1]
    assert duplicate_groups([], [], None, distance=4).shape == (0,)


def test_a_group_keeps_its_id_when_others_come_and_the_order_changes():
    groups = dict(zip("abcd", duplicate_groups(list("abcd"), ["x", "y", "x", "z"], None, distance=4).tolist()))
    more = dict(
        zip("zdcbae", duplicate_groups(list("zdcbae"), ["n", "z", "x", "y", "x", "x"], None, distance=4).tolist())
    )
    assert all(more[item] == group for item, group in groups.items())
    assert more["e"] == groups["a"]


@pytest.mark.parametrize(
    "arguments, words",
    [
        ((["a"], ["x", "y"], None, 4), "1 items, 2 sha256, no hashes"),
        ((["a"], ["x"], np.zeros((2, 3), np.uint64), 4), "1 items, 1 sha256, 2 hashes"),
        ((["a"], ["x"], np.zeros(1, np.uint64), 4), r"must be \(items, frames\)"),
        ((["a"], ["x"], np.zeros((1, 2), np.uint64), 65), "must be 0 to 64 bits"),
    ],
)
def test_what_is_refused(arguments, words):
    *positional, distance = arguments
    with pytest.raises(ValueError, match=words):
        duplicate_groups(*positional, distance=distance)
