"""Windows are compared with the members' windows of about the same age."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from assets.engine.store_access import open_store
from assets.memory.neighbours import read_neighbours
from assets.memory.temporal_keys import Ages, Windows

KEYS = np.array([[1, 0], [2, 0], [0, 3], [0, 4], [5, 5]], np.float32)


@pytest.fixture
def windows() -> Windows:
    """Two items' whole windows, of 24 and 2 hours, then the first one's at 1 and 8 hours and the second one's at 1."""
    return Windows(
        row=np.array([0, 1, 0, 0, 1]),
        younger=np.array([False, False, True, True, True]),
        hours=np.array([24.0, 2.0, 1.0, 8.0, 1.0]),
        complete=np.array([True, False, False, False, False]),
        key=KEYS,
        heard=np.array([True, True, True, True, True]),
    )


def test_a_member_has_a_block_for_each_age(windows):
    ages = Ages.of_members(windows, [1.0, 8.0, 100.0])
    assert (ages.younger, ages.whole) == ([1.0, 8.0], 13.0)  # nobody was cut at 100
    blocks = ages.member_keys(windows).reshape(2, 3, 2)
    assert blocks[0].tolist() == [KEYS[2].tolist(), KEYS[3].tolist(), KEYS[0].tolist()]
    # the second was observed for two hours: at eight it is as in its own window
    assert blocks[1].tolist() == [KEYS[4].tolist(), KEYS[1].tolist(), KEYS[1].tolist()]


@pytest.mark.parametrize(
    "hours, complete, block", [(0.1, False, 0), (2.5, False, 0), (3.5, False, 1), (20, False, 2), (1, True, 2)]
)
def test_a_query_stands_in_the_block_of_the_nearest_age(windows, hours, complete, block):
    query = Windows(
        np.array([0]), np.array([False]), np.array([hours]), np.array([complete]), KEYS[:1], np.array([True])
    )
    keys = Ages([1.0, 8.0], 24.0).query_keys(query).reshape(3, 2)
    assert keys[block].tolist() == [1.0, 0.0] and not keys[np.arange(3) != block].any()


def test_without_younger_ages_keys_are_those_of_the_whole_window(windows):
    ages = Ages.of_members(windows, [])
    np.testing.assert_array_equal(ages.member_keys(windows), KEYS[:2])
    np.testing.assert_array_equal(ages.query_keys(windows.take(~windows.younger)), KEYS[:2])


@pytest.mark.slow
def test_what_neighbours_are_alike_in_is_a_setting(settings_of, materialise):
    """A model without the temporal branch sees no feedback, in the choice of its neighbours neither."""
    assert materialise(settings_of(), "*neighbours").success

    def modes(**chosen: str) -> dict[bool, set[str]]:
        settings = settings_of(**chosen)
        assert materialise(settings, "neighbours").success
        store = open_store(settings)
        return {younger: set(read_neighbours(store, younger=younger)["mode"]) for younger in (False, True)}

    assert modes() == {False: {"composite"}, True: {"composite", "content"}}  # in its first minutes an item is silent
    assert modes(retrieval__similarity="temporal") == {False: {"temporal"}, True: {"temporal", "content"}}
    contents = {False: {"content"}, True: {"content"}}
    assert modes(retrieval__similarity="content") == modes(model__use_temporal="false") == contents
    assert modes(model__use_temporal="false", retrieval__similarity="both") == contents


@pytest.mark.slow
def test_training_items_are_searched_with_their_random_ages_others_with_those_that_are_scored(settings_of, materialise):
    settings = settings_of(protocol__ages="[2, 6]", process__younger="3")
    assert materialise(settings, "*neighbours").success
    store = open_store(settings)
    sides = store.table("splits").read()
    rows = read_neighbours(store, younger=True).join(sides, on="item")
    scored = rows.filter(pl.col("split").is_in(["val", "test"]))
    assert set(scored["age_hours"]) == {2.0, 6.0}
    trained = rows.filter(pl.col("split") == "train")
    assert trained.group_by("item").agg(pl.col("age_hours").n_unique())["age_hours"].unique().to_list() == [3]
    assert not set(trained["age_hours"]) & {2.0, 6.0}
    assert "predict" not in set(rows["split"])
