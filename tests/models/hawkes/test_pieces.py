"""Long sequences in pieces: together they are the whole, in value and in gradient."""

import pytest
import torch

from models.events import EventBatch
from models.hawkes import pieces
from models.hawkes.pieces import Pieces
from tests.models.hawkes.conftest import make_batch, make_process

KINDS = ["m3tr", "m3tr shared", "m3tr zoh", "m3tr counts", "mufm"]


@pytest.fixture
def short_pieces(monkeypatch):
    monkeypatch.setattr(pieces, "LONGEST", 5)


def sum_of(parts, process):
    total = 0.0
    for part in parts:
        own, integral = process.likelihood_of(process.encode(part.batch, part.carried), part.batch, part.window)
        total = total + own.sum() - integral.sum()
    return total


@pytest.mark.parametrize("window", ["observation", "events"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_pieces_likelihoods_add_up(short_pieces, kind, window):
    process, batch = make_process(kind), make_batch(seed=3, rows=5, longest=30, ties=True)
    cut = Pieces(process, batch, window)
    assert len(cut) > 8 and cut.scored == int((batch.lengths - int(window == "events")).clamp_min(0).sum())
    want = process.log_likelihood(batch, window=window).sum()
    torch.testing.assert_close(sum_of(cut.walk(process), process), want, rtol=1e-9, atol=1e-9)
    cut.refresh(process)
    for numbers in (torch.arange(len(cut)), torch.randperm(len(cut))):  # in any order, several steps' worth
        got = sum(sum_of(cut.parts(chosen), process) for chosen in numbers.split(4))
        torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["m3tr", "m3tr shared"])
def test_the_classical_part_has_the_whole_sequence_s_gradient(short_pieces, kind):
    """Of the decay rates too, whose kernels reach far beyond a piece."""
    process, batch = make_process(kind).requires_grad_(True), make_batch(seed=4, rows=4, longest=30)
    wanted = [process.excitation.log_rate, process.excitation.branching, process.baseline]
    want = torch.autograd.grad(process.log_likelihood(batch).sum(), wanted)
    cut = Pieces(process, batch, "observation")
    cut.refresh(process)
    got = torch.autograd.grad(sum_of(cut.parts(torch.arange(len(cut))), process), wanted)
    for one, other in zip(got, want):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_tied_events_are_never_apart(short_pieces):
    times = [0.0, 1.0, *[2.0] * 9, 3.0, 4.0, 4.0, 5.0, *[6.0] * 4]
    batch = EventBatch.from_sequences([times, [1.0] * 12], [[0] * len(times), [0] * 12], t_end=[7.0, 2.0])
    cut = Pieces(make_process("m3tr", num_types=1), batch, "observation")
    for row, begin in zip(cut.rows.tolist(), cut.begins.tolist()):
        assert begin == 0 or batch.times[row, begin] > batch.times[row, begin - 1]
    assert cut.rows.tolist().count(1) == 1 and cut.rows.tolist().count(0) > 2


def test_short_sequences_stay_whole_and_empty_ones_count():
    process, batch = make_process("m3tr"), make_batch(seed=1)
    cut = Pieces(process, batch, "observation")
    assert cut.lengths.tolist() == batch.lengths.tolist()
    nothing = EventBatch.from_sequences([[], []], [[], []], t_end=[2.0, 3.0])
    want = process.log_likelihood(nothing).sum()
    torch.testing.assert_close(sum_of(Pieces(process, nothing, "observation").walk(process), process), want)


def test_a_batch_holds_no_more_than_memory_allows(monkeypatch):
    """With rates of their own the states grow with the square of the types."""
    monkeypatch.setattr(pieces, "NUMBERS", 9 * 40)  # 3 types, 2 decays: 18 numbers per event
    process, batch = make_process("m3tr"), make_batch(seed=2, rows=12, longest=40)
    sizes = [part.batch.times.numel() for part in Pieces(process, batch, "observation").walk(process)]
    assert max(sizes) <= 20 and len(sizes) > 5
