"""Event batches: what is accepted, what is refused, and that refusals name the sequence."""

from datetime import datetime

import numpy as np
import pytest
import torch

from models.events import EventBatch, EventError


def test_ragged_sequences_are_padded_and_come_back():
    batch = EventBatch.from_sequences([[0.0, 1.5], [], [2.0]], [[1, 0], [], [2]], t_end=[3.0, 1.0, 2.0])
    assert batch.lengths.tolist() == [2, 0, 1]
    assert batch.mask.tolist() == [[True, True], [False, False], [True, False]]
    assert batch.gaps.tolist() == [[0.0, 1.5], [0.0, 0.0], [2.0, 0.0]]
    assert batch.num_events == 3 and len(batch) == 3
    assert batch.times.dtype == torch.float64 and batch.types.dtype == torch.int64


def test_without_t_end_the_window_ends_at_the_last_event():
    assert EventBatch.from_sequences([[1.0, 4.0], []], [[0, 0], []]).t_end.tolist() == [4.0, 0.0]


def test_whatever_stands_in_the_padding_is_ignored():
    nan = float("nan")
    batch = EventBatch(
        torch.tensor([[1.0, nan], [-5.0, 9.0]]),
        torch.tensor([[0, -7], [3, 3]]),
        torch.tensor([1, 0]),
        torch.ones(2) * 2,
    )
    assert batch.times.tolist() == [[1.0, 2.0], [2.0, 2.0]]
    assert batch.types.tolist() == [[0, 0], [0, 0]]


def test_rows_are_selected_in_order_and_trimmed():
    batch = EventBatch.from_sequences([[1.0, 2.0], [3.0], []], [[0, 1], [2], []], t_end=[9.0, 8.0, 7.0])
    part = batch[[2, 1]]
    assert part.times.tolist() == [[7.0], [3.0]] and part.lengths.tolist() == [0, 1]
    assert batch[1:].t_end.tolist() == [8.0, 7.0]


def test_rows_are_selected_by_a_bool_each():
    """As numbers True would be row 1 and False row 0: other sequences than those asked for."""
    batch = EventBatch.from_sequences([[1.0, 2.0], [3.0], []], [[0, 1], [2], []], t_end=[9.0, 8.0, 7.0])
    for keep in (batch.lengths < 2, [False, True, True], np.array([False, True, True])):
        assert batch[keep].t_end.tolist() == [8.0, 7.0]
    with pytest.raises(IndexError, match="2 bools for 3 rows"):
        batch[[True, False]]
    for rows in (1, [0.7], [[0]]):
        with pytest.raises(TypeError, match="rows must be"):
            batch[rows]
    assert len(batch[[]]) == 0


def test_a_batch_does_not_change_with_the_arrays_it_was_made_from():
    times, lengths, t_end = torch.ones(2, 1).double(), torch.tensor([1, 0]), torch.full((2,), 3.0).double()
    made = EventBatch(times, torch.zeros(2, 1, dtype=torch.uint8), lengths, t_end)
    other = EventBatch.from_sequences([[1.0], []], [[0], []], t_end=t_end)
    times.zero_(), lengths.fill_(7), t_end.zero_()
    assert made.lengths.tolist() == [1, 0] and made.times[0].tolist() == [1.0]
    assert made.t_end.tolist() == other.t_end.tolist() == [3.0, 3.0]


def test_no_sequence_at_all_is_a_batch():
    batch = EventBatch.from_sequences([], [])
    assert len(batch) == 0 and batch.num_events == 0


@pytest.mark.parametrize(
    ("times", "types", "t_end", "message"),
    [
        ([1.0, 3.0, 2.0], [0, 0, 0], 5.0, "not sorted: event 2 at 2.0 comes after one at 3.0"),
        ([-1.0, 2.0], [0, 0], 5.0, "negative time -1.0"),
        ([1.0, float("nan")], [0, 0], 5.0, "event 1 has time nan"),
        ([1.0, float("inf")], [0, 0], 5.0, "event 1 has time inf"),
        ([1.0, 6.0], [0, 0], 5.0, "at 6.0 is after t_end 5.0"),
        ([1.0], [-1], 5.0, "type -1 < 0"),
        ([], [], float("nan"), "t_end nan"),
        ([], [], -1.0, "t_end -1.0"),
    ],
)
def test_a_bad_sequence_is_refused_by_its_number(times, types, t_end, message):
    with pytest.raises(EventError, match="sequence 1: .*" + message):
        EventBatch.from_sequences([[1.0], times], [[0], types], t_end=[2.0, t_end])


def test_an_unknown_type_is_refused_by_its_number():
    batch = EventBatch.from_sequences([[1.0], [1.0, 2.0]], [[2], [0, 3]])
    batch.check_types(4)
    with pytest.raises(
        EventError, match="sequence 1: event 1 has the unknown type 3; the process knows the types 0 to 2"
    ):
        batch.check_types(3)


def test_shapes_lengths_and_dtypes_that_do_not_fit_are_refused():
    ones = torch.ones(2, 3)
    with pytest.raises(EventError, match=r"must be \(b, l\)"):
        EventBatch(ones, torch.ones(2, 2).long(), torch.ones(2).long(), torch.ones(2))
    with pytest.raises(EventError, match="sequence 0: length 4 is outside"):
        EventBatch(ones, ones.long(), torch.tensor([4, 1]), torch.ones(2))
    with pytest.raises(EventError, match="integers"):
        EventBatch(ones, ones, torch.ones(2).long(), torch.ones(2))
    with pytest.raises(EventError, match="lengths must be integers"):
        EventBatch(ones, ones.long(), torch.tensor([1.7, 1.0]), torch.ones(2))
    with pytest.raises(EventError, match="integers"):
        EventBatch.from_sequences([[1.0]], [[0.5]])
    with pytest.raises(EventError, match=r"t_end must be \(1,\), one per sequence; given \(1, 1\)"):
        EventBatch.from_sequences([[1.0]], [[0]], t_end=[[2.0]])
    with pytest.raises(EventError, match="sequence 0: 2 times but 1 types"):
        EventBatch.from_sequences([[1.0, 2.0]], [[0]])
    with pytest.raises(EventError, match="one entry per sequence; given 1 sequences of times, 0 of types"):
        EventBatch.from_sequences([[1.0]], [])


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([3.0, 1.0], "sequence 0: times are not sorted: event 1 at 1.0 comes after one at 3.0"),
        ([datetime(2024, 5, 1), datetime(2024, 5, 2)], "sequence 0: times must be numbers, given datetime; turn dates into"),
        (np.array(["2024-05-01", "2024-05-02"], "datetime64[s]"), "times must be numbers, given datetime"),
        (["1.0", "2.0"], "times must be numbers, given str"),
        (np.array([1.7e9, 1.7e9 + 7], np.float32), "float32 and as large as 1700000000, which is exact only below 16777216"),
        (torch.tensor([1.0, 1.7e9]), "float32 and as large as 1700000000"),
    ],
)  # fmt: skip
def test_times_that_cannot_be_right_are_refused_with_a_reason(times, message):
    with pytest.raises(EventError, match=message):
        EventBatch.from_sequences([times], [[0, 0]])


def test_float32_times_of_a_batch_are_held_to_the_same():
    with pytest.raises(EventError, match="times are float32"):
        EventBatch(torch.full((1, 1), 2e7), torch.zeros(1, 1).long(), torch.tensor([1]), torch.tensor([2e7]))


def test_a_window_may_start_anywhere():
    batch = EventBatch.from_sequences([[-3.0, 5.0], []], [[0, 1], []], t_start=[-4.0, 7.0])
    assert batch.t_end.tolist() == [5.0, 7.0] and batch.gaps.tolist() == [[1.0, 8.0], [0.0, 0.0]]
    assert batch[[0]].t_start.tolist() == [-4.0]
    assert batch.with_t_end(torch.tensor([9.0, 9.0])).t_start.tolist() == [-4.0, 7.0]
    assert batch.from_first_event().t_start.tolist() == [-3.0, 7.0]
    with pytest.raises(EventError, match=r"event 0 at 1\.0 is before t_start 2\.0"):
        EventBatch.from_sequences([[1.0]], [[0]], t_start=[2.0], t_end=[3.0])
    with pytest.raises(EventError, match=r"t_end 1\.0 is not a finite time >= t_start 2\.0"):
        EventBatch.from_sequences([[]], [[]], t_start=[2.0], t_end=[1.0])
    with pytest.raises(EventError, match="t_start nan is not a finite time"):
        EventBatch.from_sequences([[]], [[]], t_start=[float("nan")], t_end=[1.0])
