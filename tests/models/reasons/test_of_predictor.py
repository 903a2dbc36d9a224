"""Reasons by leaving something out say what the forecast is made of, and are the forecasts of videos that lack it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.events import EventBatch
from models.hawkes import MambaHawkesProcess
from models.predictors import Feedback, M3TRConfig, M3TRPredictor, Rows, Samples, Table, TrainingOptions
from models.predictors.boosting import Boosting, BoostingWithContent
from models.reasons.left_out import leave_out
from models.reasons.of_predictor import reasons_of, reasons_of_neighbour_mean
from models.reasons.reasons import Reasons, combine
from models.temporal import TemporalEncoder
from tests.models.predictors.synthetic import World, make_world
from tests.models.reasons.planted import PlantedPredictor

BASE = np.array([6.0])


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(items=60, neighbours=4, circles=6)


def masked(samples: Samples, row: int, rank: int) -> Samples:
    mask = samples.neighbourhood.mask.copy()
    mask[row, rank] = False
    return replace(samples, neighbourhood=replace(samples.neighbourhood, mask=mask))


def test_a_planted_part_and_a_planted_neighbour_have_what_they_add(world):
    samples = world.test
    reasons = reasons_of(PlantedPredictor(), samples, world.bank, base=BASE)
    first = {name: getattr(samples.features, name).values[:, :1, 0] for name in ("visual", "acoustic", "text")}
    label = samples.neighbourhood.label[:, 0] / 2
    together = first["acoustic"] * first["text"]
    for name, expected in {
        "frames": 3 * first["visual"],
        "sound": together,
        "words": together,
        "neighbours": label,
        "feedback": 0.0,
    }.items():
        np.testing.assert_allclose(reasons.parts[name], expected + np.zeros_like(label), atol=1e-5, err_msg=name)
    np.testing.assert_allclose(reasons.neighbours[..., 0], label, atol=1e-5)
    assert not np.abs(reasons.neighbours[..., 1:]).max() > 1e-5
    # The product goes with either factor, so it is counted twice, and the remainder takes it back once.
    np.testing.assert_allclose(reasons.remainder, -together - BASE, atol=1e-5)
    shares = sum(reasons.share(part) for part in (*reasons.parts.values(), reasons.remainder))
    np.testing.assert_allclose(shares, 1.0)


def test_a_masked_neighbour_has_exactly_nothing(world):
    samples = masked(world.test, 2, 1)
    model = random_m3tr(world)
    reasons = reasons_of(model, samples, world.bank, base=BASE)
    assert reasons.neighbours[2, 0, 1] == 0.0
    assert (np.abs(reasons.neighbours[2, 0, [0, 2, 3]]) > 0).all()


def random_m3tr(world: World, encoder: TemporalEncoder | None = None) -> M3TRPredictor:
    """M3TR after one step, with weights that are nearly random."""
    model = M3TRPredictor(
        M3TRConfig(width=8, hidden=8, neighbours=4), TrainingOptions(epochs=1), temporal_encoder=encoder
    )
    model.fit(world.train, None, world.bank)
    return model


@pytest.mark.parametrize(("part", "modality"), [("frames", "visual"), ("sound", "acoustic"), ("words", "text")])
def test_without_a_part_it_is_a_video_that_lacks_it(world, part, modality):
    model, samples = random_m3tr(world), world.test
    rows = getattr(samples.features, modality)
    absent = Rows.pad([None] * len(rows), width=rows.width, length=rows.longest)
    lacking = replace(samples, features=replace(samples.features, **{modality: absent}))
    expected = model.predict(samples, world.bank) - model.predict(lacking, world.bank)
    reasons = reasons_of(model, samples, world.bank, base=BASE)
    np.testing.assert_allclose(reasons.parts[part], expected, atol=1e-5)
    assert np.abs(expected).max() > 1e-3


def test_without_feedback_the_process_inside_makes_no_row(world):
    """It is a window of age 0, as the pipeline has it of an item of which nothing was seen."""
    torch.manual_seed(0)
    encoder = TemporalEncoder(MambaHawkesProcess(2, hidden=4, state=2).eval(), length=6)
    rng = np.random.default_rng(0)

    def feedback(samples: Samples, *, unseen: bool) -> Samples:
        times = [np.sort(rng.uniform(0, 5, 0 if unseen else rng.integers(1, 8))) for _ in range(len(samples))]
        types = [rng.integers(0, 2, len(at)) for at in times]
        observed = EventBatch.from_sequences(times, types, t_end=[0.0 if unseen else 5.0] * len(times))
        completed = encoder.complete(observed, seeds=range(len(times)))
        with torch.no_grad():
            rows, mask = encoder(completed)
        features = replace(samples.features, temporal=Rows(rows.numpy(), mask.numpy()))
        return replace(samples, features=features, feedback=Feedback(observed, completed))

    seen = feedback(world.train, unseen=False)
    heard = World(seen, world.dev, feedback(world.test, unseen=False), replace(world.bank, features=seen.features), 0.0)
    model = random_m3tr(heard, encoder)
    assert model.network.reads_feedback
    reasons = reasons_of(model, heard.test, heard.bank, base=BASE)
    unseen = feedback(heard.test, unseen=True)
    expected = model.predict(heard.test, heard.bank) - model.predict(unseen, heard.bank)
    np.testing.assert_allclose(reasons.parts["feedback"], expected, atol=1e-5)
    assert np.abs(expected).max() > 1e-3


def test_columns_of_a_part_become_unknown(world):
    samples = world.test.take(np.arange(2))
    table = Table(
        np.array([[3.0, 4.0], [5.0, 6.0]]),
        ("events", "hour"),
        np.array([["a", "x"], ["b", "y"]], object),
        ("author", "category_1"),
    )
    left = leave_out(replace(samples, table=table), ["feedback", "author", "category"])
    assert left.window.tolist() == [0, 0, 0, 1, 1, 1] and left.part.tolist() == [0, 1, 2, 0, 1, 2]
    np.testing.assert_array_equal(left.samples.table.numeric[:3], [[np.nan, 4.0], [3.0, 4.0], [3.0, 4.0]])
    assert left.samples.table.categorical[3:].tolist() == [["b", "y"], ["", "y"], ["b", ""]]
    assert not left.samples.features.temporal.mask[[0, 3]].any() and left.samples.features.temporal.mask[1].all()
    assert table.numeric[0, 0] == 3.0 and table.categorical[0, 0] == "a"


@pytest.mark.parametrize("made", [Boosting, BoostingWithContent])
def test_shap_values_sum_to_the_forecast_and_name_the_planted_column(world, made):
    rng = np.random.default_rng(0)

    def with_table(samples: Samples) -> Samples:
        n = len(samples)
        events, hour = rng.normal(size=n), rng.normal(size=n)
        kind = rng.choice(["x", "y"], n).astype(object)[:, None]
        target = 4.0 + 2.0 * events + 0.3 * (kind[:, 0] == "x")
        return replace(
            samples,
            table=Table(np.column_stack([events, hour]), ("events", "hour"), kind, ("author",)),
            target=target.astype(float)[:, None],
        )

    train, test = with_table(world.train), with_table(world.test)
    model = made()
    model.fit(train, None, world.bank)
    reasons = reasons_of(model, test, world.bank, base=BASE)
    np.testing.assert_allclose(reasons.remainder, 0.0, atol=1e-9)
    np.testing.assert_array_equal(reasons.forecast, model.predict(test, world.bank))
    assert reasons.share(reasons.parts["feedback"]).mean() > 0.6
    content = {"frames", "sound", "words"} if made is BoostingWithContent else set()
    assert set(reasons.parts) == {"feedback", "time", "author"} | content
    parts = {"events": "feedback", "hour": "time", "author": "author"}
    for column, part in parts.items():
        np.testing.assert_array_equal(reasons.columns[column], reasons.parts[part])
    if content:
        frames = [values for name, values in reasons.columns.items() if name.startswith("visual")]
        np.testing.assert_allclose(sum(frames), reasons.parts["frames"], atol=1e-12)


def test_many_windows_have_the_reasons_of_few(world):
    """CatBoost explains many windows in another way than few; the values are the same."""
    table = Table(np.random.default_rng(0).normal(size=(len(world.train), 3)), ("a", "b", "c"))
    train = replace(world.train, table=table)
    model = Boosting()
    model.fit(train, None, world.bank)
    twice = train.take(np.concatenate([np.arange(len(train))] * 2))
    many, _ = model.shap(twice)
    few, _ = model.shap(train.take(np.arange(10)))
    np.testing.assert_allclose(many[:10], few, atol=1e-9)


def test_the_mean_of_neighbours_is_its_neighbours(world):
    samples = masked(world.test, 0, 3)
    reasons = reasons_of_neighbour_mean(samples, [np.array([1.0, 3.0])])
    label = samples.neighbourhood.label[:, :, 0]
    np.testing.assert_allclose(reasons.forecast[1:, 0], label[1:].mean(1))
    np.testing.assert_allclose(reasons.remainder, 0.0, atol=1e-12)
    assert (reasons.base == 2.0).all() and reasons.neighbours[0, 0, 3] == 0.0
    np.testing.assert_allclose(reasons.neighbours[1, 0, 2], label[1].mean() - np.delete(label[1], 2).mean(), atol=1e-6)


def test_a_combination_has_the_weighted_reasons_and_leaves_out_who_does_not_apply():
    one = Reasons(
        np.array([[5.0], [6.0]]), np.full((2, 1), 4.0), {"frames": np.array([[1.0], [2.0]])}, np.ones((2, 1, 1))
    )
    line = Reasons.of_one_part(np.array([[8.0], [np.nan]]), np.array([4.0]), "feedback", neighbours=1)
    both = combine([one, line], np.array([[[0.25], [1.0]], [[0.75], [0.0]]]))
    np.testing.assert_allclose(both.forecast, [[7.25], [6.0]])
    np.testing.assert_allclose(both.parts["frames"], [[0.25], [2.0]])
    np.testing.assert_allclose(both.parts["feedback"], [[3.0], [0.0]])
    np.testing.assert_allclose(both.neighbours[..., 0], [[0.25], [1.0]])
    np.testing.assert_allclose(both.remainder, 0.0, atol=1e-12)
    with pytest.raises(ValueError, match=r"frames must be \(2, 1\), given \(1, 1\)"):
        Reasons(one.forecast, one.base, {"frames": np.ones((1, 1))}, one.neighbours)
