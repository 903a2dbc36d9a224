"""Windows of the stage `temporal_embeddings` as the predictors read them."""

import numpy as np
import pytest

from assets.feedback import temporal_embeddings
from assets.prediction.predictor_inputs import stored_windows
from storage.rows import Row
from storage.stage import Stage
from storage.store import Store

PAYLOAD = temporal_embeddings.payload(2, 3)


def window(age: float, *times: float) -> dict:
    return {
        "age_hours": age,
        "used_hours": age,
        "total": len(times),
        "observed": len(times),
        "times": list(times),
        "types": [0] * len(times),
    }


def row(item: str, younger: list[dict], own: dict) -> Row:
    keys = np.zeros((len(younger), 3), np.float32)
    rest = {"embedding": np.zeros((2, 3)), "rows": 0, "log_likelihood": 0.0, "simulated": 0, "window_hours": 24.0}
    ages = [one["age_hours"] for one in younger]
    return Row.ok(item, item, {**own, **rest, "younger": younger, "younger_hours": ages, "younger_keys": keys})


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    rows = [
        row("a", [window(0.0), window(3.0, 1.0)], window(24.0, 1.0, 5.0, 20.0)),
        row("b", [], window(2.0)),
        row("c", [window(1.0, 0.5)], window(4.0, 0.5, 2.0)),
    ]
    store.stage(temporal_embeddings.NAME, PAYLOAD).commit(rows, fingerprint="f")
    return store


def test_each_items_younger_windows_come_before_its_own(store):
    windows = stored_windows(store, ["c", "nobody", "a", "b"])
    told = [(one.row, one.younger, one.held["age_hours"], one.held["times"].tolist()) for one in windows]
    assert told == [
        (0, True, 1.0, [0.5]),
        (0, False, 4.0, [0.5, 2.0]),
        (1, False, 0.0, []),
        (2, True, 0.0, []),
        (2, True, 3.0, [1.0]),
        (2, False, 24.0, [1.0, 5.0, 20.0]),
        (3, False, 2.0, []),
    ]
    assert {one.held["window_hours"] for one in windows} == {24.0, 0.0}
    assert all(one.held["types"].dtype == np.int64 and one.held["times"].dtype == np.float64 for one in windows)


def test_windows_of_a_split_are_read_once_until_a_row_changes(store, monkeypatch):
    read, read_places = [], Stage.read_places
    monkeypatch.setattr(Stage, "read_places", lambda *args: read.append(args) or read_places(*args))
    for items, reads in ((["a", "b"], 1), (["a", "b"], 1), (["b", "a"], 2), (["b", "a"], 2)):
        stored_windows(store, items)
        assert len(read) == reads
    store.stage(temporal_embeddings.NAME, PAYLOAD).commit([row("a", [], window(9.0))], fingerprint="f")
    assert [one.held["age_hours"] for one in stored_windows(store, ["b", "a"])] == [2.0, 9.0]
