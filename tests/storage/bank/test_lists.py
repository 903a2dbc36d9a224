"""Banks whose index is approximate: the rule, the override, and that what they find is scored exactly."""

import json

import numpy as np
import pytest

import storage.bank.memory_bank as opened
from storage.bank import MemoryBank, build
from storage.bank.lists import Effort, calibrate, choose
from storage.bank.memory_bank import OwnLists
from storage.bank.search import search
from tests.storage.bank.test_threshold import blobs

MEMBERS, QUERIES = 3000, 100


def clustered_bank(artifact, index: str, **changed) -> MemoryBank:
    bank, _ = blobs(MEMBERS, QUERIES)
    given = {
        "items": [f"v{row}" for row in range(MEMBERS)],
        "content": bank.content,
        "content_mask": bank.content_mask,
        "temporal": bank.temporal,
        "temporal_mask": bank.temporal_mask,
        "labels": np.zeros(MEMBERS),
        "label_times": np.arange(MEMBERS),
        "groups": bank.groups,
        "versions": {},
    } | changed
    version = build(artifact, **given, index=index)
    artifact.activate(version.version)
    return MemoryBank.open(artifact, expect={})


@pytest.fixture
def artifact(store):
    return store.artifact("memory_bank")


def ask(bank: MemoryBank, **changed):
    _, queries = blobs(MEMBERS, QUERIES)
    given = {
        "content": queries.content,
        "temporal": queries.temporal,
        "size": 10,
        "query_items": [f"q{row}" for row in range(QUERIES)],
        "query_groups": np.full(QUERIES, -1),
    }
    return bank.search(**given | changed)


def exactly(size: int = 10):
    bank, queries = blobs(MEMBERS, QUERIES)
    return search(bank, queries, size=size)


@pytest.mark.parametrize(
    "members, width, asked, expected",
    [
        (200_000, 1024, "auto", "Flat"),
        (200_001, 1024, "auto", "IVF1024,PQ512x4fs"),
        (1_000_000, 256, "auto", "IVF2048,PQ128x4fs"),
        (1_000_000, 129, "auto", "IVF2048,PQ129x4fs"),
        (1_000_000, 64, "auto", "IVF2048,PQ64x4fs"),
        (1_000_000, 256, "flat", "Flat"),
        (10, 256, "IVF1024,PQ64", "IVF1024,PQ64"),
    ],
)
def test_the_rule(members, width, asked, expected):
    assert choose(members, width, asked=asked) == expected


@pytest.mark.parametrize("index", ["IVF32,Flat", "HNSW16", "IVF16,PQ16x4fs", "IVF16,PQ8x4"])
def test_an_approximate_index_reaches_the_recall_and_scores_exactly(artifact, index):
    bank = clustered_bank(artifact, index)
    assert bank.index == index
    assert bank.version.metadata["lists"]["calibrated_recall"] >= 0.95
    assert bank.quality(size=10).recall >= 0.9
    found, expected = ask(bank), exactly()
    same = found.index == expected.index
    assert same.mean() > 0.8
    np.testing.assert_allclose(found.ss_modal[same], expected.ss_modal[same], atol=1e-5)
    np.testing.assert_allclose(found.score[same], expected.score[same], atol=0.02)
    assert (np.diff(found.score, axis=1) <= 0).all()


def test_a_reader_with_lists_of_its_own_finds_the_same_as_a_bank_that_has_them(artifact, tmp_path):
    bank = clustered_bank(artifact, "auto")
    description = bank.write_lists(tmp_path, exact_up_to=1000, size=10, aim=0.95)
    lists = OwnLists(tmp_path, json.loads(json.dumps(description)), exact_up_to=1000)
    reader = MemoryBank.open(artifact, expect={}, lists=lists)
    assert (bank.index, reader.index) == ("Flat", "IVF128,PQ32x4fs")
    found, expected = ask(reader), exactly()
    same = found.index == expected.index
    assert same.mean() > 0.8
    np.testing.assert_allclose(found.score[same], expected.score[same], atol=0.02)
    np.testing.assert_array_equal(ask(bank).index, expected.index)
    early = np.full(QUERIES, MEMBERS // 4)  # members 0 to 750 alone have a label by then
    np.testing.assert_array_equal(ask(reader, query_times=early).index, ask(bank, query_times=early).index)


@pytest.mark.parametrize("index, exact_up_to", [("auto", MEMBERS), ("IVF32,Flat", 1000)])
def test_a_small_bank_and_one_with_lists_need_none_of_the_readers(artifact, tmp_path, index, exact_up_to):
    bank = clustered_bank(artifact, index)
    assert bank.write_lists(tmp_path, exact_up_to=exact_up_to, size=10, aim=0.95) is None
    assert not list(tmp_path.glob("*.faiss"))


def test_flat_is_the_exact_search(artifact):
    bank = clustered_bank(artifact, "flat")
    assert bank.index == "Flat"
    assert "lists" not in bank.version.metadata
    np.testing.assert_array_equal(ask(bank).index, exactly().index)
    assert bank.quality(size=10).recall == 1.0


@pytest.mark.parametrize(
    "index, words",
    [
        ("IVFF,Flat", "index 'IVFF,Flat' over vectors of width 32: .* auto, flat, and FAISS"),
        ("IVF16,PQ7", "IVF16,PQ7.*auto, flat"),
        ("IVF4096,Flat", "IVF4096,Flat.* over 3000 vectors"),
    ],
)
def test_an_index_that_cannot_be_made_is_refused_and_leaves_no_version(artifact, index, words):
    with pytest.raises(ValueError, match=words):
        clustered_bank(artifact, index)
    assert artifact.versions() == []


def test_queries_that_see_few_members_are_searched_exactly(artifact, monkeypatch):
    monkeypatch.setattr(opened, "EXACT_UP_TO", 1000)
    bank = clustered_bank(artifact, "IVF32,Flat")
    members, queries = blobs(MEMBERS, QUERIES)
    times = np.where(np.arange(QUERIES) % 2, 700, MEMBERS)
    found = ask(bank, query_times=times)
    expected = search(members, type(queries)(**{**vars(queries), "times": times}), size=10)
    early = times == 700
    np.testing.assert_array_equal(found.index[early], expected.index[early])
    assert found.index[early].max() <= 700
    assert (found.index[~early] == expected.index[~early]).mean() > 0.8


def test_members_and_queries_without_feedback(artifact):
    with_temporal = np.arange(MEMBERS) % 3 > 0
    bank = clustered_bank(artifact, "IVF32,Flat", temporal_mask=with_temporal)
    heard = np.arange(QUERIES) % 2 == 0
    found = ask(bank, temporal_mask=heard)
    assert found.mode.tolist() == ["composite" if has else "content" for has in heard]
    assert found.mask.all()
    assert np.isnan(found.ss_temp[~heard]).all()
    members, queries = blobs(MEMBERS, QUERIES)
    members = type(members)(**{**vars(members), "temporal_mask": with_temporal})
    expected = search(members, type(queries)(**{**vars(queries), "temporal_mask": heard}), size=10)
    assert (found.index == expected.index).mean() > 0.8
    np.testing.assert_array_equal(np.isnan(found.ss_temp), ~with_temporal[found.index] | ~heard[:, None])


def test_the_least_effort_that_is_enough_is_taken():
    tried = []

    def recall(effort: Effort) -> float:
        tried.append(effort.depth)
        return effort.depth / 2048

    effort, reached = calibrate(recall, aim=0.5)
    assert (effort.depth, reached) == (1024, 0.5)
    assert tried == sorted(tried)
    assert calibrate(lambda effort: 0.1, aim=0.5)[0].depth == 8192


def test_made_of_the_same_it_is_not_built_again(artifact):
    clustered_bank(artifact, "IVF32,Flat")
    clustered_bank(artifact, "IVF32,Flat")
    assert [version.version for version in artifact.versions()] == [1]
    clustered_bank(artifact, "flat")
    assert [version.version for version in artifact.versions()] == [1, 2]
