import numpy as np
import pytest

from storage.bank import build, compare
from storage.durable import StoreError
from tests.storage.bank.test_memory_bank import N, arguments


def test_members_vectors_and_versions_are_told_apart(store):
    artifact = store.artifact("memory_bank")
    build(artifact, **arguments())
    changed = arguments(versions={"process": "p2", "retrieval_vectors": "new"})
    changed["items"] = ["new", *changed["items"][1:]]
    changed["content"] = changed["content"].copy()
    changed["content"][5] += 1
    build(artifact, **changed)
    found = compare(artifact, 1, 2)
    assert (found.added, found.removed, found.moved) == (["new"], ["v0"], ["v5"])
    assert found.versions["process"] == ("p1", "p2")
    assert found.content_drift.energy is None
    assert found.temporal_drift.energy == 0


def test_versions_of_other_widths_can_be_compared(store):
    artifact = store.artifact("memory_bank")
    build(artifact, **arguments())
    build(artifact, **arguments(content=np.ones((N, 7), np.float32)))
    found = compare(artifact, 1, 2)
    assert len(found.moved) == N
    assert found.content_drift.energy is None


def test_a_version_that_is_not_there(store):
    artifact = store.artifact("memory_bank")
    build(artifact, **arguments())
    with pytest.raises(StoreError, match="there is no version 7; kept are 1"):
        compare(artifact, 1, 7)
