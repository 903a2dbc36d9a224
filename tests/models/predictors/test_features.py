"""Minibatches of features, from arrays and from packs."""

import numpy as np
import pytest

from models.predictors.features import PackedRows, Rows, VideoFeatures

WIDTHS = {"visual": 3, "acoustic": 4, "text": 5, "temporal": 2}
ROOM = {"visual": 6, "acoustic": 6, "text": 9, "temporal": 7}


def ragged(name: str, lengths: list[int]) -> list[np.ndarray]:
    random = np.random.default_rng(len(name))
    return [random.standard_normal((length, WIDTHS[name])).astype(np.float32) for length in lengths]


def padded(name: str, sequences: list[np.ndarray]) -> Rows:
    return Rows.pad(sequences, width=WIDTHS[name], length=ROOM[name])


def packed(name: str, sequences: list[np.ndarray]) -> PackedRows:
    """The videos lie in the pack in another order than in the rows, among rows of others."""
    lengths = np.array([len(sequence) for sequence in sequences])
    order = np.argsort(-np.arange(len(sequences)))
    starts, values, at = np.zeros(len(sequences), np.int64), [np.full((3, WIDTHS[name]), np.nan, np.float32)], 3
    for i in order:
        starts[i] = at
        values.append(sequences[i])
        at += lengths[i]
    return PackedRows(np.concatenate(values), starts, lengths, longest=ROOM[name])


def features(make, lengths: dict[str, list[int]]) -> VideoFeatures:
    return VideoFeatures(**{name: make(name, ragged(name, lengths[name])) for name in WIDTHS})


LENGTHS = {"visual": [6, 0, 2, 6], "acoustic": [0, 0, 6, 4], "text": [1, 9, 0, 4], "temporal": [0, 7, 3, 0]}


@pytest.mark.parametrize("index", [[0], [3, 0, 2], [1], [2, 2, 1, 0, 3]])
def test_a_batch_from_a_pack_is_the_batch_from_arrays(index):
    expected = features(padded, LENGTHS).batch(np.array(index))
    found = features(packed, LENGTHS).batch(np.array(index))
    for name, tensor in vars(expected).items():
        np.testing.assert_array_equal(tensor.numpy(), getattr(found, name).numpy(), err_msg=name)


@pytest.mark.parametrize("make", [padded, packed])
def test_taken_videos_are_themselves(make):
    whole = features(make, LENGTHS)
    taken = whole.take(np.array([2, 0]))
    assert len(taken) == 2
    expected, found = whole.batch(np.array([0])), taken.batch(np.array([1]))
    np.testing.assert_array_equal(expected.visual.numpy(), found.visual.numpy())
    np.testing.assert_array_equal(expected.text_mask.numpy(), found.text_mask.numpy())
    assert whole.text.present.tolist() == [True, True, False, True] and not taken.text.present[0]


@pytest.mark.parametrize("make", [padded, packed])
def test_frames_and_sound_stay_aligned_where_a_batch_has_more_of_one(make):
    batch = features(make, LENGTHS).batch(np.array([0]))
    assert batch.visual.shape[1] == batch.acoustic.shape[1] == 6
    assert not batch.acoustic_mask.any()


@pytest.mark.parametrize("make", [padded, packed])
def test_a_value_that_is_not_finite_names_modality_and_video(make):
    sequences = {name: ragged(name, LENGTHS[name]) for name in WIDTHS}
    sequences["text"][3][2, 1] = np.nan
    made = VideoFeatures(**{name: make(name, rows) for name, rows in sequences.items()})
    made.batch(np.array([0, 1, 2]))
    with pytest.raises(ValueError, match="the text features of video 3 are not finite"):
        made.batch(np.array([1, 3]))


@pytest.mark.parametrize(
    "changed, words",
    [
        ({"values": np.zeros((4, 2), np.int32)}, "values must be float16 or float32, given int32"),
        ({"values": np.zeros(4, np.float32)}, r"values must be \(rows, width\)"),
        ({"starts": np.array([0, 3])}, "video 1 has rows 3 to 5, but values has only 4 rows"),
        ({"lengths": np.array([2, 9])}, "video 1 has 9 rows, at most 3"),
        ({"starts": np.array([0])}, "starts and lengths must both be"),
    ],
)
def test_packs_that_do_not_fit_are_refused(changed, words):
    given = {
        "values": np.zeros((4, 2), np.float32), "starts": np.array([0, 2]), "lengths": np.array([2, 2]), "longest": 3,
    }  # fmt: skip
    with pytest.raises(ValueError, match=words):
        PackedRows(**given | changed)
