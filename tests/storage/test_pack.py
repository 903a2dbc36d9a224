import multiprocessing

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import storage.pack as packing
from storage.arrays import fixed, ragged
from storage.pack import open_pack
from storage.parts import Parts
from storage.rows import Row
from storage.store import Store

PAYLOADS = {
    "frames": pa.schema([fixed("embedding", (4, 3), "float16"), pa.field("rows", pa.int32())]),
    "words": pa.schema([ragged("embedding", 3, "float32")]),
    "flat": pa.schema([pa.field("prompt", pa.string()), fixed("embedding", (3,), "float32")]),
}


def vectors(kind: str, seed: int) -> np.ndarray:
    """The vectors (rows, 3) of an item, as its stage and its pack hold them."""
    random = np.random.default_rng(seed)
    rows = {"frames": 1 + seed % 4, "words": seed % 5, "flat": 1}[kind]
    return random.standard_normal((rows, 3)).astype(np.float16).astype(np.float32)


def row(kind: str, item: str, seed: int) -> Row:
    made = vectors(kind, seed)
    if kind == "frames":
        padded = np.full((4, 3), 7, np.float16)
        padded[: len(made)] = made
        payload = {"embedding": padded, "rows": len(made)}
    else:
        payload = {"embedding": made} if kind == "words" else {"prompt": "p", "embedding": made[0]}
    return Row.ok(item, str(seed), payload)


def held(pack, items) -> list[np.ndarray]:
    starts, lengths = pack.find(items)
    return [pack.values[start : start + length] for start, length in zip(starts, lengths, strict=True)]


@pytest.mark.parametrize("kind", PAYLOADS)
def test_a_pack_holds_every_rows_vectors_without_padding(store, kind):
    stage = store.stage(kind, PAYLOADS[kind])
    items = [f"v{number}" for number in range(30)]
    stage.commit([row(kind, item, seed) for seed, item in enumerate(items)], fingerprint="f")
    stage.commit([Row.missing("none", "h", "no sound"), Row.failed("bad", "h", ValueError("x"))], fingerprint="f")
    pack = open_pack(store, stage)
    for found, seed in zip(held(pack, items), range(30), strict=True):
        np.testing.assert_array_equal(found, vectors(kind, seed))
    assert [len(found) for found in held(pack, ["none", "bad", "unheard of"])] == [0, 0, 0]
    assert pack.longest == 4 if kind != "flat" else pack.longest == 1
    assert isinstance(pack.values, np.memmap)


def test_states_are_searched_once_however_many_blocks_a_pack_has(store, monkeypatch):
    stage, looked = store.stage("flat", PAYLOADS["flat"]), []
    states = Parts.states
    monkeypatch.setattr(Parts, "states", lambda *args: looked.append(args) or states(*args))

    def searches(block: int, seed: int) -> int:
        monkeypatch.setattr(packing, "BLOCK", block)
        stage.commit([row("flat", str(number), seed + number) for number in range(12)], fingerprint="f")
        looked.clear()
        assert len(open_pack(store, stage).values) == 12
        return len(looked)

    assert searches(1, seed=0) == searches(12, seed=50)


@pytest.mark.parametrize("kind", PAYLOADS)
def test_a_stage_without_rows_has_an_empty_pack(store, kind):
    stage = store.stage(kind, PAYLOADS[kind])
    pack = open_pack(store, stage)
    assert pack.values.shape == (0, 3)
    assert pack.find(["a"])[1].tolist() == [0]


def test_only_what_changed_is_read_from_the_parquet(store):
    stage = store.stage("frames", PAYLOADS["frames"])
    items = [f"v{number}" for number in range(20)]
    stage.commit([row("frames", item, seed) for seed, item in enumerate(items)], fingerprint="f")
    first = open_pack(store, stage)
    assert first.version.metadata["from_parquet"] == 20
    assert open_pack(store, stage).version.version == 1
    stage.commit([row("frames", "v3", 99), row("frames", "new", 7)], fingerprint="f")
    stage.drop(["v5"])
    second = open_pack(store, stage)
    assert (second.version.version, second.version.metadata["from_parquet"]) == (2, 2)
    np.testing.assert_array_equal(held(second, ["v3"])[0], vectors("frames", 99))
    np.testing.assert_array_equal(held(second, ["new"])[0], vectors("frames", 7))
    np.testing.assert_array_equal(held(second, ["v19"])[0], vectors("frames", 19))
    assert len(held(second, ["v5"])[0]) == 0
    np.testing.assert_array_equal(held(first, ["v3"])[0], vectors("frames", 3))  # who has it open keeps it
    assert first.version.path.exists()
    del first, second
    stage.commit([row("frames", "newer", 8)], fingerprint="f")
    open_pack(store, stage)
    assert [version.version for version in store.artifact("pack_frames").versions()] == [3]


def test_rows_computed_again_to_the_same_values_need_no_other_pack(store):
    stage = store.stage("words", PAYLOADS["words"])
    stage.commit([row("words", "a", 1)], fingerprint="f")
    open_pack(store, stage)
    stage.commit([row("words", "a", 1)], fingerprint="another")
    assert open_pack(store, stage).version.version == 1


def test_another_width_is_another_pack(store):
    stage = store.stage("flat", PAYLOADS["flat"])
    stage.commit([row("flat", "a", 1)], fingerprint="f")
    open_pack(store, stage)
    wider = store.stage("flat", pa.schema([fixed("embedding", (5,), "float32")]))
    wider.commit([Row.ok("a", "h", {"embedding": np.arange(5, dtype=np.float32)})], fingerprint="g")
    np.testing.assert_array_equal(held(open_pack(store, wider), ["a"])[0], [np.arange(5)])


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["commit", "drop", "fail"]), st.integers(0, 5), st.integers(0, 40)), max_size=8),
    st.integers(1, 3),
)
def test_it_is_never_stale(tmp_path_factory, history, block):
    """Whatever happened to the stage, the pack holds what the stage holds."""
    store = Store(tmp_path_factory.mktemp("store"))
    stage, expected = store.stage("words", PAYLOADS["words"]), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "BLOCK", block)
        for kind, number, seed in history:
            item = f"v{number}"
            expected.pop(item, None)
            if kind == "commit":
                stage.commit([row("words", item, seed)], fingerprint="f")
                expected[item] = vectors("words", seed)
            elif kind == "fail":
                stage.commit([Row.failed(item, "h", ValueError("x"))], fingerprint="f")
            else:
                stage.drop([item])
            pack = open_pack(store, stage)
            items = [f"v{number}" for number in range(6)]
            for item, found in zip(items, held(pack, items), strict=True):
                np.testing.assert_array_equal(found, expected.get(item, np.zeros((0, 3))))


def _open(root, answers):
    store = Store(root)
    pack = open_pack(store, store.stages()["words"])
    answers.put((pack.version.version, float(held(pack, ["a"])[0].sum())))


def test_two_that_need_the_same_pack_get_one(store):
    stage = store.stage("words", PAYLOADS["words"])
    stage.commit([row("words", "a", 3)], fingerprint="f")
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    others = [context.Process(target=_open, args=(store.root, answers)) for _ in range(2)]
    for other in others:
        other.start()
    found = [answers.get(timeout=60) for _ in others]
    for other in others:
        other.join()
    assert found == [(1, pytest.approx(float(vectors("words", 3).sum())))] * 2


def test_a_disk_that_is_full_leaves_the_pack_that_was_there(store, monkeypatch):
    stage = store.stage("words", PAYLOADS["words"])
    stage.commit([row("words", "a", 3)], fingerprint="f")
    open_pack(store, stage)
    stage.commit([row("words", "b", 4)], fingerprint="f")

    def full(self, rows):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(packing._Growing, "append", full)
    with pytest.raises(Exception, match="no space left on the disk"):
        open_pack(store, stage)
    monkeypatch.undo()
    assert [version.version for version in store.artifact("pack_words").versions()] == [1]
    assert len(held(open_pack(store, stage), ["b"])[0]) == 4
