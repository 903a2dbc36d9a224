import json
import multiprocessing

import faiss
import numpy as np
import pytest

from storage.bank import BankVersionError, MemoryBank, build
from storage.durable import StoreError

VERSIONS = {"content": {"checkpoint": "UAE", "revision": "a"}, "process": "p1"}
N = 30


def arguments(**changed) -> dict:
    random = np.random.default_rng(0)
    return {
        "items": [f"v{row}" for row in range(N)],
        "content": random.standard_normal((N, 6)).astype(np.float32),
        "content_mask": np.arange(N) != 3,
        "temporal": random.standard_normal((N, 4)).astype(np.float32),
        "temporal_mask": np.arange(N) != 4,
        "labels": np.arange(N) / 2,
        "label_times": np.arange(N) * 1000,
        "groups": np.arange(N) // 2,
        "versions": VERSIONS,
    } | changed


@pytest.fixture
def artifact(store):
    return store.artifact("memory_bank")


@pytest.fixture
def bank(artifact) -> MemoryBank:
    artifact.activate(build(artifact, **arguments()).version)
    return MemoryBank.open(artifact, expect=VERSIONS)


def test_a_bank_comes_back_as_it_was_built(bank):
    given = arguments()
    assert len(bank) == N and bank.items.tolist() == given["items"]
    for name in ("labels", "label_times", "groups", "content_mask", "temporal_mask"):
        np.testing.assert_array_equal(getattr(bank, name), given[name])
    np.testing.assert_array_equal(bank.content, np.where(given["content_mask"][:, None], given["content"], 0))
    assert bank.version.metadata["with_content"] == N - 1
    assert bank.version.metadata["members"] == N
    assert json.dumps(bank.version.metadata)


def test_faiss_reads_its_indexes(bank):
    index = faiss.read_index(str(bank.version.path / "content.faiss"))
    assert isinstance(index, faiss.IndexFlatIP)
    _, found = index.search(bank.content[:1], 3)
    products = bank.content @ bank.content[0]
    assert found[0].tolist() == np.argsort(-products)[:3].tolist()


def test_rows_without_a_vector_may_hold_anything(artifact):
    content = arguments()["content"]
    content[3] = np.nan
    assert build(artifact, **arguments(content=content)).version == 1
    content[5] = np.nan
    with pytest.raises(ValueError, match="content, row 5: NaN"):
        build(artifact, **arguments(content=content))


def test_a_new_version_stays_beside_until_it_is_activated(artifact, bank):
    second = build(artifact, **arguments(labels=np.zeros(N)))
    assert MemoryBank.open(artifact, expect=VERSIONS).version.version == 1
    assert MemoryBank.open(artifact, expect=VERSIONS, version=second.version).labels.sum() == 0
    artifact.activate(second.version)
    assert MemoryBank.open(artifact, expect=VERSIONS).version.version == 2
    assert artifact.rollback().version == 1
    assert MemoryBank.open(artifact, expect=VERSIONS).version.version == 1
    assert [version.version for version in artifact.versions()] == [1, 2]


def test_the_hashes_follow_what_a_bank_is_made_of(artifact):
    first = build(artifact, **arguments())
    assert build(artifact, **arguments()).inputs_hash == first.inputs_hash
    assert build(artifact, **arguments(labels=np.zeros(N))).inputs_hash != first.inputs_hash
    other = build(artifact, **arguments(versions={"process": "p2"}))
    assert other.inputs_hash == first.inputs_hash and other.fingerprint != first.fingerprint


def test_queries_of_other_versions_are_refused(artifact, bank):
    other = {"content": {"checkpoint": "UAE", "revision": "b"}, "process": "p1"}
    with pytest.raises(BankVersionError, match=r"content: bank version 1 was built with .*'a'.*made with .*'b'"):
        MemoryBank.open(artifact, expect=other)
    with pytest.raises(BankVersionError, match=r"process: .*p1, the query was made with absent"):
        MemoryBank.open(artifact, expect={"content": VERSIONS["content"]})


def test_no_bank_in_service(artifact):
    with pytest.raises(StoreError, match="no memory bank in service; build and activate one first"):
        MemoryBank.open(artifact, expect=VERSIONS)


def query(bank, **changed):
    return bank.search(
        **{
            "content": bank.content[:2],
            "temporal": bank.temporal[:2],
            "size": 5,
            "query_items": ["v0", "new"],
            "query_groups": np.array([-1, 7]),
        }
        | changed
    )


def test_a_query_finds_neither_itself_nor_its_duplicates(bank):
    found = query(bank, size=N)
    assert set(found.index[0][found.mask[0]]) == set(range(1, N))
    assert set(found.index[1][found.mask[1]]) == set(range(N)) - {14, 15}


def test_only_labels_that_were_observable(bank):
    found = query(bank, size=N, query_times=np.array([3000, -1]))
    assert set(found.index[0][found.mask[0]]) == {1, 2, 3}
    assert not found.mask[1].any() and found.mode.tolist() == ["composite", "none"]


def test_a_query_without_feedback_falls_back_to_content(bank):
    temporal = np.full((2, 4), np.nan, np.float32)
    found = query(bank, temporal=temporal, temporal_mask=np.array([False, False]))
    assert found.mode.tolist() == ["content", "content"]
    products = bank.content @ bank.content[1]
    eligible = [row for row in range(N) if row not in (3, 14, 15)]
    assert found.index[1].tolist() == sorted(eligible, key=lambda row: -products[row])[:5]
    assert np.isnan(found.ss_temp).all() and np.isnan(found.temp_min).all()


@pytest.mark.parametrize(
    "changed, words",
    [
        ({"content": np.zeros((2, 5))}, r"content of the queries has shape \(2, 5\), must be \(2, 6\)"),
        ({"query_groups": np.zeros(3)}, r"query_groups has shape \(3,\), must be \(2,\)"),
        ({"temporal": np.full((2, 4), np.inf)}, "temporal of query 0: NaN or infinity; mask"),
        ({"size": 0}, "size is 0"),
    ],
)
def test_wrong_queries_are_refused(bank, changed, words):
    with pytest.raises(ValueError, match=words):
        query(bank, **changed)


def test_times_need_label_times(artifact):
    artifact.activate(build(artifact, **arguments(label_times=None)).version)
    with pytest.raises(ValueError, match="built with label_times"):
        query(MemoryBank.open(artifact, expect=VERSIONS), query_times=np.array([1, 2]))


@pytest.mark.parametrize(
    "changed, words",
    [
        ({"items": ["a"] * N}, "an item is given twice"),
        ({"items": []}, "there are no items"),
        ({"groups": np.zeros(3)}, r"groups has shape \(3,\), must be \(30,\)"),
        ({"labels": np.full(N, np.inf)}, "labels hold infinity"),
        ({"temporal": np.zeros(N)}, r"temporal has shape \(30,\), must be \(30, width\)"),
    ],
)
def test_wrong_members_are_refused_and_leave_no_version(artifact, changed, words):
    with pytest.raises(ValueError, match=words):
        build(artifact, **arguments(**changed))
    assert artifact.versions() == []


def _open_and_search(artifact, switched, answers) -> None:
    for _ in range(20):
        found = MemoryBank.open(artifact, expect=VERSIONS)
        answers.put((found.version.version, int(found.labels[0])))
    switched.wait(30)
    found = MemoryBank.open(artifact, expect=VERSIONS)
    answers.put((found.version.version, int(found.labels[0])))


def test_readers_see_one_version_or_the_other(artifact):
    """Label 0 of version v is v: a reader that mixed two would give itself away."""
    for version in (1, 2):
        build(artifact, **arguments(labels=np.full(N, version)))
    artifact.activate(1)
    context = multiprocessing.get_context("spawn")
    switched, answers = context.Event(), context.Queue()
    reader = context.Process(target=_open_and_search, args=(artifact, switched, answers))
    reader.start()
    for _ in range(100):
        artifact.activate(2)
        artifact.activate(1)
    artifact.activate(2)
    switched.set()
    seen = [answers.get(timeout=30) for _ in range(21)]
    reader.join()
    assert all(version == label for version, label in seen)
    assert seen[-1] == (2, 2)
