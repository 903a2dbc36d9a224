import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import storage.bank.exact_block as blocks
import storage.bank.search as searching
from storage.bank.member_order import Bank
from storage.bank.neighbours import Queries
from storage.bank.search import search
from tests.storage.bank.reference import search_one


def compare(bank: Bank, queries: Queries, size: int, *, exact: bool) -> None:
    """exact: the vectors are small integers, so ties are true ties and the order must be the reference's throughout."""
    found = search(bank, queries, size=size)
    for i in range(len(queries.own)):
        expected = search_one(bank, queries, i, size=size)
        count = len(expected.members)
        assert found.mode[i] == expected.mode
        assert found.mask[i].tolist() == [True] * count + [False] * (size - count)
        assert (found.index[i, count:] == -1).all() and np.isnan(found.score[i, count:]).all()
        np.testing.assert_allclose(found.score[i, :count], expected.scores, atol=2e-5)
        if exact:
            assert found.index[i, :count].tolist() == expected.members
        for raw, values in ((found.ss_modal, expected.modal), (found.ss_temp, expected.temporal)):
            wanted = np.array([np.nan if value is None else value for value in values])
            if exact or found.index[i, :count].tolist() == expected.members:
                np.testing.assert_allclose(raw[i, :count], wanted, rtol=1e-4, atol=1e-4)
        for low, high, pair in (
            (found.modal_min, found.modal_max, expected.extremes[0]),
            (found.temp_min, found.temp_max, expected.extremes[1]),
        ):
            np.testing.assert_allclose([low[i], high[i]], pair or [np.nan, np.nan], rtol=1e-5, atol=1e-5)


@st.composite
def problems(draw, *, integers: bool):
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    members = draw(st.integers(1, 60))
    count = draw(st.integers(1, 12))
    share = draw(st.sampled_from([0.0, 0.3, 1.0]))  # of vectors that are absent

    def vectors(rows: int, width: int) -> np.ndarray:
        if integers:
            return random.integers(-2, 3, (rows, width)).astype(np.float32)
        return random.standard_normal((rows, width), dtype=np.float32)

    def mask(rows: int) -> np.ndarray:
        return random.random(rows) >= share

    bank = Bank(
        content=vectors(members, 3),
        temporal=vectors(members, 2),
        content_mask=mask(members),
        temporal_mask=mask(members),
        groups=random.integers(0, max(1, members // 2), members),
        label_times=random.integers(0, 5, members),
    )
    queries = Queries(
        content=vectors(count, 3),
        temporal=vectors(count, 2),
        content_mask=mask(count),
        temporal_mask=mask(count),
        own=random.integers(-1, members, count),
        groups=random.integers(-1, max(1, members // 2), count),
        times=random.integers(-1, 6, count) if draw(st.booleans()) else None,
    )
    return bank, queries, draw(st.integers(1, 12))


@settings(max_examples=150, deadline=None)
@given(problems(integers=True))
def test_against_the_reference_with_many_ties(problem):
    bank, queries, size = problem
    compare(bank, queries, size, exact=True)


@settings(max_examples=75, deadline=None)
@given(problems(integers=False))
def test_against_the_reference_with_real_numbers(problem):
    bank, queries, size = problem
    compare(bank, queries, size, exact=False)


@settings(max_examples=60, deadline=None)
@given(problems(integers=True), st.integers(1, 5), st.integers(1, 2000), st.integers(1, 300))
def test_the_result_does_not_depend_on_how_the_work_is_cut(problem, block, cached, candidates):
    bank, queries, size = problem
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(searching, "BLOCK", block)
        patch.setattr(blocks, "CACHED_BYTES", cached)
        patch.setattr(blocks, "MOST_CANDIDATES", candidates)
        compare(bank, queries, size, exact=True)


def large(members: int, *, ties: bool, seed: int = 0) -> tuple[Bank, Queries]:
    """A bank large enough for the threshold over classes of columns, which small ones do without."""
    random = np.random.default_rng(seed)
    content = random.standard_normal((members, 1000), dtype=np.float32)
    temporal = random.standard_normal((members, 4), dtype=np.float32)
    if ties:  # each vector ten times, at places that no kernel of a matrix product treats alike
        content, temporal = (np.resize(vectors[: members // 10], vectors.shape) for vectors in (content, temporal))
    everyone = np.ones(members, bool)
    bank = Bank(content, temporal, everyone, everyone, np.arange(members), None)
    queries = Queries(content[:40], temporal[:40], everyone[:40], everyone[:40], np.arange(40), np.arange(40), None)
    return bank, queries


@pytest.mark.parametrize("members", [997, 4096])
def test_a_larger_bank(members):
    bank, queries = large(members, ties=False)
    compare(bank, queries, 10, exact=False)


@pytest.mark.parametrize("members", [97, 1003, 3990])
@pytest.mark.parametrize("together", [1, 3, 40])
def test_equal_vectors_rank_in_the_order_of_the_bank(members, together):
    """A matrix product need not give equal vectors equal results: it depends on where they stand, among how many."""
    bank, queries = large(members, ties=True)
    for start in range(0, 12, together):
        few = slice(start, start + together)
        part = Queries(
            queries.content[few], queries.temporal[few], queries.content_mask[few], queries.temporal_mask[few],
            queries.own[few], queries.groups[few], None,
        )  # fmt: skip
        found = search(bank, part, size=9)
        for i in range(min(together, 12)):
            assert found.index[i].tolist() == search_one(bank, part, i, size=9).members


def test_a_bank_of_equal_members_gives_zeros_in_the_order_of_the_bank():
    members = 5000
    everyone = np.ones(members, bool)
    bank = Bank(
        np.full((members, 8), 0.1, np.float32), np.full((members, 8), 0.3, np.float32),
        everyone, everyone, np.arange(members), None,
    )  # fmt: skip
    queries = Queries(
        np.random.default_rng(0).random((300, 8), dtype=np.float32),
        np.random.default_rng(1).random((300, 8), dtype=np.float32),
        everyone[:300], everyone[:300], np.arange(300), np.arange(300), None,
    )  # fmt: skip
    found = search(bank, queries, size=3)
    assert (found.score == 0).all()
    assert found.index[0].tolist() == [1, 2, 3] and found.index[1].tolist() == [0, 2, 3]
    assert (found.index[3:] == [0, 1, 2]).all()


def test_scaling_or_shifting_one_similarity_changes_nothing():
    """Min-max takes out scale; a constant coordinate shifts every similarity of a query."""
    bank, queries = large(1000, ties=False)
    found = search(bank, queries, size=10)

    def changed(vectors, factor, constant):
        return np.concatenate([vectors * np.float32(factor), np.full((len(vectors), 1), constant, np.float32)], axis=1)

    bank = Bank(bank.content, changed(bank.temporal, 8, 2), *(bank.content_mask, bank.temporal_mask), bank.groups, None)
    queries = Queries(
        queries.content, changed(queries.temporal, 4, 1), queries.content_mask, queries.temporal_mask,
        queries.own, queries.groups, None,
    )  # fmt: skip
    again = search(bank, queries, size=10)
    np.testing.assert_array_equal(found.index, again.index)
    np.testing.assert_allclose(found.score, again.score, atol=1e-5)


def test_a_size_below_one_is_refused():
    bank, queries = large(100, ties=False)
    with pytest.raises(ValueError, match="size is 0, must be at least 1"):
        search(bank, queries, size=0)


def test_vectors_at_an_odd_address_give_the_same(monkeypatch):
    """As they are where they are mapped from FAISS's file."""
    monkeypatch.setattr(searching, "ALIGNED", 300)
    bank, queries = large(1000, ties=False)
    expected = search(bank, queries, size=10)

    def at_odd_address(vectors: np.ndarray) -> np.ndarray:
        memory = np.zeros(vectors.nbytes + 1, np.uint8)
        moved = np.frombuffer(memory.data, np.float32, vectors.size, offset=1).reshape(vectors.shape)
        moved[:] = vectors
        assert not moved.flags.aligned
        return moved

    moved = at_odd_address(bank.content), at_odd_address(bank.temporal)
    odd = Bank(*moved, bank.content_mask, bank.temporal_mask, bank.groups, None)
    found = search(odd, queries, size=10)
    np.testing.assert_array_equal(found.index, expected.index)
    np.testing.assert_allclose(found.score, expected.score, atol=1e-5)
