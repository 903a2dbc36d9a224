"""HyFea reads the paper's groups of features: which columns reach CatBoost, and in which form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.metrics import nmse
from models.predictors.column_groups import columns_of
from models.predictors.hyfea import HyFea, HyFeaOptions, HyFeaWithCounts
from tests.models.predictors.tabular import tabular_world, without

OPTIONS = HyFeaOptions(trees=60, learning_rate=0.2, depth=4, components=8)


@pytest.fixture(scope="module")
def world():
    return tabular_world(items=240)


def changed(samples, columns: tuple[str, ...]):
    """Return samples with other values in some columns of the table."""
    rng, table = np.random.default_rng(9), samples.table
    numeric, categorical = table.numeric.copy(), table.categorical.copy()
    for place, name in enumerate(table.numeric_names):
        if name in columns:
            numeric[:, place] = rng.permutation(numeric[:, place])
    for place, name in enumerate(table.categorical_names):
        if name in columns:
            categorical[:, place] = "other"
    return replace(samples, table=replace(table, numeric=numeric, categorical=categorical))


def test_users_are_read_and_counts_only_in_the_row_with_counts(world):
    plain, counts = HyFea(OPTIONS), HyFeaWithCounts(OPTIONS)
    known, scores = ~np.isnan(world.test.target[:, 1]), []
    for model in (plain, counts):
        model.fit(world.train, world.dev, world.bank, seed=0)
        scores.append(nmse(world.test.target[known, 1], model.predict(world.test, world.bank)[known, 1]))
    assert scores[1] < 0.5 < scores[0] < 0.9
    original = plain.predict(world.test, world.bank)
    for columns, read in ((("author_followers",), True), (("events", "events_log2", "age_hours"), False)):
        assert np.array_equal(plain.predict(changed(world.test, columns), world.bank), original) != read


def test_frames_and_words_are_read_and_sound_is_not(world):
    model = HyFea(OPTIONS)
    model.fit(world.train, world.dev, world.bank, seed=0)
    original, everything = model.predict(world.test, world.bank), np.ones(len(world.test), bool)
    for name, read in (("visual", True), ("text", True), ("acoustic", False)):
        gone = without(world.test, **{name: everything})
        assert np.array_equal(model.predict(gone, world.bank), original) != read


def test_content_is_reduced_by_a_truncated_decomposition_without_a_mean(world):
    """The components of the training videos are those of NumPy's decomposition of their mean rows."""
    model = HyFea(OPTIONS)
    model.fit(world.train, world.dev, world.bank, seed=0)
    rows = world.train.features.visual.values.astype(np.float64).mean(1)
    _, _, axes = np.linalg.svd(rows, full_matrices=False)
    table = model.table_of(world.train)
    found = np.column_stack([table.numeric[:, table.numeric_names.index(f"visual {k}")] for k in range(1, 9)])
    np.testing.assert_allclose(np.abs(found), np.abs(rows @ axes[:8].T), rtol=1e-6, atol=1e-8)


def test_an_unknown_group_of_columns_is_refused(world):
    with pytest.raises(ValueError, match=r"groups must be among counts, user, .* given usr"):
        columns_of(world.train.table, ["usr"])
