"""Forecasts of earlier runs are reused exactly where a model would read the same values again."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from polars.testing import assert_frame_equal

from assets.engine.kept_rows import FILE
from assets.engine.store_access import open_store
from assets.prediction import kept_forecasts
from assets.prediction.kept_forecasts import KeptForecasts, member_digests
from assets.prediction.trained_models import TrainedModel, artifact_of
from models.predictors import Bank, Neighbourhood, Rows, Samples, Table, VideoFeatures
from tests.assets.conftest import write_plain_set

TABLES = ("validation_items", "evaluation_items", "curve_items", "curve_scores", "forecast_curves")
MODEL = TrainedModel("boosting", 0)
ITEMS = {item: f"digest of {item}" for item in ("q0", "q1", "q2", "m0", "m1", "m2")}


def features(count: int) -> VideoFeatures:
    return VideoFeatures(*(Rows(np.ones((count, 1, 2), np.float32), np.ones((count, 1), bool)) for _ in range(4)))


def table(count: int) -> Table:
    words = np.array([[f"word {row}"] for row in range(count)], object)
    return Table(np.arange(count, dtype=float)[:, None], ("age",), words, ("language",))


@pytest.fixture
def bank() -> Bank:
    return Bank(np.array(["m0", "m1", "m2"]), features(3), table(3))


@pytest.fixture
def samples() -> Samples:
    near = Neighbourhood(
        index=np.array([[0, 1], [1, 2], [2, 0]]),
        score=np.array([[0.9, 0.5], [0.8, 0.4], [0.7, 0.3]], np.float32),
        mask=np.array([[True, True], [True, True], [True, False]]),
        label=np.arange(6, dtype=np.float32).reshape(3, 2, 1),
    )
    return Samples(np.array(["q0", "q1", "q2"]), features(3), near, age=np.array([1.0, 1.0, np.nan]), table=table(3))


def window_digests(samples: Samples, bank: Bank, items: dict[str, str]) -> list[str]:
    return kept_forecasts.window_digests(samples, member_digests(bank, items), items)


def changed_near(samples: Samples, part: str, place: tuple[int, ...], value: float) -> Samples:
    near = replace(samples.neighbourhood, **{part: getattr(samples.neighbourhood, part).copy()})
    getattr(near, part)[place] = value
    return replace(samples, neighbourhood=near)


def changed(before: list[str], after: list[str]) -> list[int]:
    return [row for row, (one, other) in enumerate(zip(before, after, strict=True)) if one != other]


def test_every_value_that_a_window_reads_is_part_of_its_digest(samples, bank):
    before = window_digests(samples, bank, ITEMS)
    assert len(set(before)) == 3
    assert changed(before, window_digests(changed_near(samples, "score", (1, 0), 0.81), bank, ITEMS)) == [1]
    assert changed(before, window_digests(changed_near(samples, "label", (0, 1, 0), 7.0), bank, ITEMS)) == [0]
    assert changed(before, window_digests(changed_near(samples, "index", (0, 1), 2), bank, ITEMS)) == [0]
    assert changed(before, window_digests(changed_near(samples, "mask", (1, 1), False), bank, ITEMS)) == [1]
    older = replace(samples, age=np.array([1.0, 3.0, np.nan]))
    assert changed(before, window_digests(older, bank, ITEMS)) == [1]
    other_word = replace(
        samples, table=replace(samples.table, categorical=np.array([["x"], ["word 1"], ["word 2"]], object))
    )
    assert changed(before, window_digests(other_word, bank, ITEMS)) == [0]
    other_age = replace(samples, table=replace(samples.table, numeric=np.array([[0.0], [1.0], [np.nan]])))
    assert changed(before, window_digests(other_age, bank, ITEMS)) == [2]
    assert changed(before, window_digests(samples, bank, {**ITEMS, "q2": "other features"})) == [2]
    assert changed(before, window_digests(samples, bank, {**ITEMS, "m1": "other features"})) == [0, 1]
    other_member = replace(bank, table=replace(bank.table, numeric=np.array([[0.0], [1.0], [5.0]])))
    assert changed(before, window_digests(samples, other_member, ITEMS)) == [1, 2]


def test_what_is_masked_is_not_part_of_it(samples, bank):
    before = window_digests(samples, bank, ITEMS)
    assert window_digests(changed_near(samples, "score", (2, 1), 0.9), bank, ITEMS) == before


def test_a_bank_in_another_order_is_the_same(samples, bank):
    order = np.array([2, 0, 1])
    near = replace(samples.neighbourhood, index=np.argsort(order)[samples.neighbourhood.index])
    other = Bank(bank.items[order], bank.features.take(order), bank.table.take(order))
    moved = replace(samples, neighbourhood=near)
    assert window_digests(moved, other, ITEMS) == window_digests(samples, bank, ITEMS)


class Recorder:
    """Forecasts each window by its row, and notes which rows were asked for."""

    def __init__(self, count: int) -> None:
        self.asked: list[list[int]] = []
        self._count = count

    def __call__(self, rows: np.ndarray | None) -> np.ndarray:
        rows = np.arange(self._count) if rows is None else rows
        self.asked.append(rows.tolist())
        return rows[:, None] + np.array([0.25, np.nan])


@pytest.fixture
def store(settings_of):
    store = open_store(settings_of())
    make_model(store, "first fit")
    return store


def make_model(store, inputs_hash: str) -> None:
    with artifact_of(store, MODEL).new(inputs_hash=inputs_hash, fingerprint="code", metadata={}) as folder:
        (folder / "model").write_text(inputs_hash)


def night(store, bank, digests: list[str]) -> tuple[np.ndarray, list[list[int]]]:
    kept, compute = KeptForecasts(store, "scores"), Recorder(len(digests))
    values = kept.forecasts(MODEL, bank, digests, compute)
    kept.keep()
    return values, compute.asked


def test_only_new_windows_are_forecast(store, bank):
    assert night(store, bank, ["a", "b"])[1] == [[0, 1]]
    values, asked = night(store, bank, ["b", "c", "a"])
    assert asked == [[1]]
    np.testing.assert_array_equal(values, [[1.25, np.nan], [1.25, np.nan], [0.25, np.nan]])
    assert night(store, bank, ["b", "c", "a"])[1] == []


def test_what_a_night_did_not_use_is_forgotten(store, bank):
    night(store, bank, ["a", "b"])
    night(store, bank, ["b"])
    assert night(store, bank, ["a", "b"])[1] == [[0]]


def test_a_model_that_was_fitted_again_forecasts_again(store, bank):
    night(store, bank, ["a", "b"])
    make_model(store, "second fit")
    assert night(store, bank, ["a", "b"])[1] == [[0, 1]]


def test_other_columns_of_the_table_forecast_again(store, bank):
    night(store, bank, ["a"])
    renamed = replace(bank, table=replace(bank.table, numeric_names=("duration",)))
    assert night(store, renamed, ["a"])[1] == [[0]]


@pytest.mark.parametrize("damage", ["cut", "lost"])
def test_damaged_forecasts_are_made_again(store, bank, damage):
    night(store, bank, ["a", "b"])
    with store.artifact("kept_scores").current().reading() as folder:
        path = folder / FILE
    content = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    values, asked = night(store, bank, ["a", "b"])
    assert asked == [[0, 1]]
    assert values[:, 0].tolist() == [0.25, 1.25]
    assert night(store, bank, ["a", "b"])[1] == []


@pytest.mark.slow
def test_a_night_gives_the_forecasts_that_it_would_give_without_earlier_ones(settings_of, materialise, tmp_path):
    folder, forecasts = write_plain_set(tmp_path / "set"), {}
    first = settings_of(data__folder=str(folder), store__path=str(tmp_path / "kept"), model__seeds="[0]")
    assert materialise(first).success
    shutil.copytree(tmp_path / "kept", tmp_path / "without")
    for path in (tmp_path / "without" / "artifacts").glob("kept_*"):
        shutil.rmtree(path)
    write_plain_set(folder, items=61)
    for name in ("kept", "without"):
        settings = settings_of(data__folder=str(folder), store__path=str(tmp_path / name), model__seeds="[0]")
        night = materialise(settings)
        assert night.success
        assert night.asset_materializations_for_node("popularity_model")[0].metadata["trained"].data == []
        store = open_store(settings)
        forecasts[name] = [store.table(table).read() for table in TABLES]
        forecasts[name].append(store.table("predictions").read().drop("neighbours"))
    for one, other in zip(*forecasts.values(), strict=True):
        assert_frame_equal(one, other, rel_tol=1e-5)
