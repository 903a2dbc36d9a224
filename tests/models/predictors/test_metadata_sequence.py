"""The fourth sequence: the table of metadata and counts, for the targets and for their neighbours."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.metrics import nmse
from models.predictors import M3TR, M3TRPredictor, Table, TrainingOptions
from models.predictors.table_embedding import TableColumns
from tests.models.predictors.reference import Reference
from tests.models.predictors.synthetic import make_world
from tests.models.predictors.test_boosting import with_table
from tests.models.predictors.test_m3tr import CONFIG, WIDTHS, hood, videos
from tests.models.predictors.test_training import SMALL

WITH = replace(CONFIG, use_metadata=True)


def table_of(count: int, seed: int) -> Table:
    """Two numbers, of which some are unknown, and two categories, with unknown and unseen ones."""
    rng = np.random.default_rng(seed)
    numbers = np.where(rng.random((count, 2)) < 0.3, np.nan, rng.normal(size=(count, 2)))
    kinds = rng.choice(np.array(["a", "b", "", "unseen"], object), (count, 2))
    return Table(numbers, ("x", "y"), kinds, ("kind", "author"))


def make_model(config=WITH) -> M3TR:
    torch.manual_seed(0)
    columns = TableColumns(("x", "y"), {"kind": ["a", "b"], "author": ["b"]})
    model = M3TR(config, WIDTHS, columns=columns).double().eval()
    with torch.no_grad():
        for name, value in model.state_dict().items():
            value.copy_(torch.rand_like(value) + 0.5 if name.endswith("scale") else 0.7 * torch.randn_like(value))
    return model


@pytest.mark.parametrize(
    "config",
    [WITH, replace(WITH, aggregate="concat"), replace(WITH, aggregate="rows"), replace(WITH, use_labels=False)],
)
def test_the_forward_pass_is_that_of_the_reference(config):
    model, tables = make_model(config), (table_of(4, 1), table_of(5, 2))
    with torch.no_grad():
        found = model(videos(4, 0), videos(5, 1), hood(), tables=tables).numpy()
        other = model(videos(4, 0), videos(5, 1), hood(), tables=(tables[0], table_of(5, 3))).numpy()
    expected = Reference(model).predict(videos(4, 0), videos(5, 1), hood(), tables)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)
    assert np.abs(other - found)[:3].max() > 1e-8 and other[3] == found[3]  # the last one has no neighbour


@pytest.mark.parametrize("name", [name for name in make_model().state_dict() if "embed_table" in name])
def test_a_wrong_weight_would_be_noticed(name):
    model, tables = make_model(), (table_of(4, 1), table_of(5, 2))
    reference = Reference(model)
    reference.weights[name] += 1e-3 * np.random.default_rng(0).standard_normal(reference.weights[name].shape)
    with torch.no_grad():
        found = model(videos(4, 0), videos(5, 1), hood(), tables=tables).numpy()
    assert np.abs(reference.predict(videos(4, 0), videos(5, 1), hood(), tables) - found).max() > 1e-8


def test_it_learns_from_the_table_and_a_saved_model_forecasts_the_same(tmp_path):
    world = make_world(items=150, neighbours=4, circles=12)
    parts = [with_table(part, seed) for seed, part in enumerate((world.train, world.dev, world.test))]
    bank = replace(world.bank, table=parts[0].table)
    model = M3TRPredictor(replace(SMALL, use_metadata=True), TrainingOptions(epochs=20, learning_rate=5e-3))
    model.fit(*parts[:2], bank)
    predicted = model.predict(parts[2], bank)
    assert nmse(parts[2].target[:, 0], predicted[:, 0]) < 0.5
    model.save(tmp_path)
    loaded = M3TRPredictor()
    loaded.load(tmp_path)
    np.testing.assert_array_equal(loaded.predict(parts[2], bank), predicted)
    with pytest.raises(ValueError, match=r"needs `samples\.table`"):
        M3TRPredictor(replace(SMALL, use_metadata=True)).fit(replace(parts[0], table=None), None, bank)
