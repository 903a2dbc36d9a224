"""A bank that is searched in shards gives what one search over all members gives."""

import itertools
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import storage.bank.lists as lists
from storage.bank import MemoryBank, build
from storage.bank.bank_search import BankSearch
from storage.bank.member_order import Bank
from storage.bank.neighbours import Neighbours, Queries
from storage.bank.recall_latency import recall
from storage.bank.search import search
from storage.bank.shards import Shard, answer
from storage.durable import StoreError
from tests.storage.bank.test_search import large, problems
from tests.storage.bank.test_threshold import blobs, over_exact_lists


@dataclass(frozen=True)
class InMemory(Shard):
    """A shard that needs no files."""

    searched: BankSearch

    def open(self) -> BankSearch:
        return self.searched


def part_of(bank: Bank, start: int, stop: int) -> Bank:
    return Bank(*(None if array is None else array[start:stop] for array in vars(bank).values()))


def cut(bank: Bank, ends: list[int], *, listed: bool = False) -> list[InMemory]:
    """listed: each shard searches exact sorted lists."""
    edges = [0, *sorted(ends), len(bank.groups)]
    shards = []
    for number, (start, stop) in enumerate(itertools.pairwise(edges)):
        if stop > start:
            part = part_of(bank, start, stop)
            searched = BankSearch(part, over_exact_lists(part, depth=40, far_depth=40) if listed else None)
            shards.append(InMemory(Path("nowhere"), number, start, stop, None, searched))
    return shards


def agree(found: Neighbours, expected: Neighbours) -> None:
    np.testing.assert_array_equal(found.mode, expected.mode)
    np.testing.assert_array_equal(found.mask, expected.mask)
    np.testing.assert_array_equal(found.index, expected.index)
    for name in ("score", "ss_modal", "ss_temp", "modal_min", "modal_max", "temp_min", "temp_max"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-5, atol=1e-5, err_msg=name)


@settings(max_examples=150, deadline=None)
@given(problems(integers=True), st.lists(st.integers(0, 60), max_size=5), st.booleans())
def test_ties_small_banks_hidden_members_and_times(problem, ends, listed):
    """Shards may have fewer members than are asked for, no member with a modality, or none that the query may see."""
    bank, queries, size = problem
    ends = [min(end, len(bank.groups)) for end in ends]
    agree(answer(bank, cut(bank, ends, listed=listed), queries, size=size), search(bank, queries, size=size))


@pytest.mark.parametrize("ties", [False, True])
def test_many_members(ties):
    """Equal vectors rank in the order of the bank across shards too."""
    bank, queries = large(3990, ties=ties)
    agree(answer(bank, cut(bank, [997, 998, 2500]), queries, size=9), search(bank, queries, size=9))


def test_a_shard_with_extremes_of_its_own_would_rank_other_members():
    """The negative control: without the first round the merged result differs."""
    bank, queries = blobs(600, 50)
    shards = cut(bank, [200, 400])
    alone = [shard.open().answer(shard.local(queries), size=5) for shard in shards]
    expected = search(bank, queries, size=5)
    index = np.concatenate([part.index + shard.start for part, shard in zip(alone, shards, strict=True)], axis=1)
    order = np.argsort(-np.concatenate([part.score for part in alone], axis=1), axis=1, kind="stable")[:, :5]
    assert (np.take_along_axis(index, order, axis=1) != expected.index).any()
    agree(answer(bank, shards, queries, size=5), expected)


def test_no_neighbours_are_not_allowed():
    bank, queries = blobs(60, 2)
    with pytest.raises(ValueError, match="size is 0, must be at least 1"):
        answer(bank, cut(bank, [20]), queries, size=0)


MEMBERS, QUERIES = 3000, 60


@pytest.fixture
def artifact(store):
    return store.artifact("memory_bank")


def built(artifact, *, shards: int, **changed) -> MemoryBank:
    bank, _ = blobs(MEMBERS, QUERIES)
    version = build(
        artifact,
        items=[f"v{row}" for row in range(MEMBERS)],
        content=bank.content,
        content_mask=bank.content_mask,
        temporal=bank.temporal,
        temporal_mask=bank.temporal_mask,
        labels=np.zeros(MEMBERS),
        label_times=np.arange(MEMBERS),
        groups=np.arange(MEMBERS) // 3,
        versions={},
        shards=shards,
        **changed,
    )
    return MemoryBank(version)


def asked(bank: MemoryBank) -> Queries:
    """Members, with limits of time."""
    _, queries = blobs(MEMBERS, QUERIES)
    return bank.queries(
        queries.content,
        queries.temporal,
        query_items=[f"v{50 * row}" for row in range(QUERIES)],
        query_groups=50 * np.arange(QUERIES) // 3,
        query_times=np.linspace(0, MEMBERS, QUERIES).astype(int),
    )


def test_a_version_in_shards_is_searched_by_processes_and_gives_what_one_search_gives(artifact):
    whole, divided = built(artifact, shards=1), built(artifact, shards=4)
    assert whole.version.version != divided.version.version
    assert [(shard.start, shard.stop) for shard in divided.shards] == [
        (0, 750),
        (750, 1500),
        (1500, 2250),
        (2250, 3000),
    ]
    expected = whole.answer(asked(whole), size=10)
    agree(divided.answer(asked(divided), size=10), expected)
    with ProcessPoolExecutor(2, get_context("fork")) as pool:
        agree(divided.answer(asked(divided), size=10, run=pool.map), expected)
    assert divided.index == "4 shards of Flat" and divided.quality(size=10).recall == 1
    assert built(artifact, shards=4).version.version == divided.version.version


def test_shards_have_indexes_of_their_own(artifact):
    bank = built(artifact, shards=2, index="IVF16,PQ16x4fs")
    files = sorted(path.name for path in bank.version.path.glob("*lists*"))
    assert files == ["content_lists_0000.faiss", "content_lists_0001.faiss"]  # temporal lists of so few are exact
    _, queries = blobs(MEMBERS, QUERIES)
    queries = bank.queries(
        queries.content,
        queries.temporal,
        query_items=["new"] * QUERIES,
        query_groups=np.full(QUERIES, -1),
    )
    expected = built(artifact, shards=1).answer(queries, size=10)
    assert recall(bank.answer(queries, size=10), expected) > 0.95
    assert bank.quality(size=10).recall > 0.9
    assert bank.index == "2 shards of IVF16,PQ16x4fs"


def test_a_gpu_that_is_asked_for_and_missing_is_an_error_with_the_extra(artifact, monkeypatch):
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 0)
    version = built(artifact, shards=1).version
    monkeypatch.delattr(faiss, "StandardGpuResources", raising=False)
    with pytest.raises(StoreError, match=r"pip install 'reelcast\[gpu\]'"):
        MemoryBank(version, device="gpu")
    monkeypatch.setattr(faiss, "StandardGpuResources", object, raising=False)
    with pytest.raises(StoreError, match="FAISS sees no GPU"):
        MemoryBank(version, device="gpu")


def test_the_cpu_is_taken_where_it_is_asked_for_and_a_gpu_is_present(artifact, monkeypatch):
    version = built(artifact, shards=1).version
    monkeypatch.setattr(lists, "EXACT_UP_TO", 10)
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    bank = MemoryBank(version, device="cpu")
    agree(bank.answer(asked(bank), size=10), MemoryBank(version, device="cpu").answer(asked(bank), size=10))


@pytest.mark.gpu
@pytest.mark.skipif(not faiss.get_num_gpus(), reason="FAISS sees no GPU")
def test_a_gpu_finds_what_the_cpu_finds(artifact):
    version = built(artifact, shards=1).version
    on_cpu, on_gpu = (MemoryBank(version, device=device) for device in ("cpu", "gpu"))
    expected, found = (bank.answer(asked(bank), size=10) for bank in (on_cpu, on_gpu))
    np.testing.assert_array_equal(found.index, expected.index)
    np.testing.assert_allclose(found.score, expected.score, atol=2e-5)
