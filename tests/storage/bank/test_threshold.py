"""The threshold algorithm over exact lists gives what the exact search gives, wherever it says that it is settled."""

import faiss
import numpy as np
import pytest
from hypothesis import given, settings

from storage.bank.lists import Effort, SortedLists
from storage.bank.member_order import Bank
from storage.bank.neighbours import Queries
from storage.bank.search import search
from storage.bank.threshold import ThresholdSearch
from tests.storage.bank.reference import search_one
from tests.storage.bank.test_search import problems


def over_exact_lists(bank: Bank, *, depth: int, far_depth: int = 3) -> ThresholdSearch:
    lists = []
    for vectors, mask in ((bank.content, bank.content_mask), (bank.temporal, bank.temporal_mask)):
        flat = faiss.IndexFlatIP(vectors.shape[1])
        flat.add(np.where(mask[:, None], vectors, 0).astype(np.float32))
        lists.append(SortedLists.whole(flat, mask))
    return ThresholdSearch(bank, *lists, effort=Effort(1, depth, 1, far_depth))


def blobs(members: int, count: int, *, seed: int = 0) -> tuple[Bank, Queries]:
    """Members in clusters, in each modality its own, and queries near some of them."""
    random = np.random.default_rng(seed)

    def vectors(width: int, clusters: int) -> np.ndarray:
        made = random.standard_normal((clusters, width))[random.integers(0, clusters, members + count)]
        made = made + 0.7 * random.standard_normal(made.shape)
        return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)

    content, temporal = vectors(32, 40), vectors(16, 15)
    mask = np.ones(members, bool)
    bank = Bank(content[:members], temporal[:members], mask, mask, np.arange(members), np.arange(members))
    queries = Queries(
        content[members:], temporal[members:], mask[:count], mask[:count],
        np.full(count, -1), np.full(count, -1), None,
    )  # fmt: skip
    return bank, queries


@settings(max_examples=200, deadline=None)
@given(problems(integers=True))
def test_whole_lists_settle_and_agree_with_the_reference(problem):
    bank, queries, size = problem
    found, settled = over_exact_lists(bank, depth=100, far_depth=100).search(queries, size=size)
    for i in np.flatnonzero(settled):
        expected = search_one(bank, queries, i, size=size)
        assert found.index[i][found.mask[i]].tolist() == expected.members
        assert found.mode[i] == expected.mode
        np.testing.assert_allclose(found.score[i][found.mask[i]], expected.scores, atol=2e-5)


@pytest.mark.parametrize("depth", [20, 100, 400])
def test_short_lists_are_right_where_they_are_settled(depth):
    bank, queries = blobs(3000, 200)
    expected = search(bank, queries, size=10)
    found, settled = over_exact_lists(bank, depth=depth).search(queries, size=10)
    assert settled.mean() > {20: -1, 100: 0.1, 400: 0.9}[depth]
    np.testing.assert_array_equal(found.index[settled], expected.index[settled])
    np.testing.assert_allclose(found.score[settled], expected.score[settled], atol=2e-5)
    for name in ("modal_min", "modal_max", "temp_min", "temp_max"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-5)
    for name in ("ss_modal", "ss_temp"):
        np.testing.assert_allclose(getattr(found, name)[settled], getattr(expected, name)[settled], atol=1e-5)


def test_too_short_lists_are_not_called_settled():
    bank, queries = blobs(3000, 200)
    expected = search(bank, queries, size=10)
    found, settled = over_exact_lists(bank, depth=10).search(queries, size=10)
    wrong = (found.index != expected.index).any(axis=1)
    assert wrong.any()
    assert not settled[wrong].any()


def test_hidden_members_are_not_found_and_do_not_count_for_the_extremes():
    bank, _ = blobs(500, 1)
    groups = np.arange(500) // 5
    bank = Bank(bank.content, bank.temporal, bank.content_mask, bank.temporal_mask, groups, np.arange(500))
    rows = np.arange(250, 300)
    queries = Queries(
        bank.content[rows], bank.temporal[rows], bank.content_mask[rows], bank.temporal_mask[rows],
        rows, groups[rows], np.full(50, 400),
    )  # fmt: skip
    expected = search(bank, queries, size=5)
    found, settled = over_exact_lists(bank, depth=500, far_depth=200).search(queries, size=5)
    assert settled.all()
    np.testing.assert_array_equal(found.index, expected.index)
    np.testing.assert_allclose(found.modal_min, expected.modal_min, atol=1e-6)
    assert found.index.max() <= 400
