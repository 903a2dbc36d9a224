import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.splits import chronological, paper, torn_groups


def counts(splits: pl.DataFrame) -> dict:
    return dict(splits["split"].value_counts().iter_rows())


def timed(items, times, groups, *, horizon: int = 0) -> pl.DataFrame:
    """The chronological split where each label is known `horizon` after the item's time."""
    label_times = pl.Series(times, dtype=pl.Int64) + horizon
    return chronological(items, times, groups, label_times=label_times)


def items_of(count: int) -> list[str]:
    return [str(item) for item in range(count)]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=80), st.integers(0, 5))
def test_groups_stay_on_one_side_and_every_item_has_one(groups, seed):
    items = items_of(len(groups))
    for splits in (
        paper(items, np.array(groups), seed=seed),
        timed(items, np.arange(len(items)) * 7 % 13, np.array(groups)),
    ):
        assert splits["item"].to_list() == items
        assert set(splits["split"]) <= {"train", "val", "test", "gap"}
        torn = torn_groups(splits.with_columns(pl.col("split").replace("gap", None)), np.array(groups))
        assert torn.height == 0


@given(st.integers(10, 400), st.integers(0, 3))
def test_shares_are_exact_without_groups(count, seed):
    items = items_of(count)
    for splits in (paper(items, np.arange(count), seed=seed), timed(items, np.arange(count), np.arange(count))):
        found = counts(splits)
        assert abs(found["train"] - 0.8 * count) <= 0.5
        assert abs(found["val"] - 0.1 * count) <= 1 and abs(found["test"] - 0.1 * count) <= 1


def test_twenty_thousand_items_are_cut_at_eighty_and_ninety():
    assert counts(paper(items_of(20_000), np.arange(20_000), seed=0)) == {"train": 16_000, "val": 2_000, "test": 2_000}


def test_the_seed_decides_and_the_order_of_items_does_not():
    items = items_of(200)
    one = paper(items, np.arange(200), seed=1)
    assert one.equals(paper(items, np.arange(200), seed=1))
    assert not one.equals(paper(items, np.arange(200), seed=2))
    turned = paper(items[::-1], np.arange(200)[::-1], seed=1)
    assert dict(turned.iter_rows()) == dict(one.iter_rows())


@given(st.integers(10, 200), st.integers(1, 60), st.integers(0, 3))
def test_new_items_are_drawn_and_the_others_stay(count, more, seed):
    before = paper(items_of(count), np.arange(count), seed=seed)
    after = paper(items_of(count + more), np.arange(count + more), seed=seed, kept=before)
    assert after.head(count).equals(before)
    found = counts(after)
    for side, share in (("train", 0.8), ("val", 0.1), ("test", 0.1)):
        assert abs(found[side] - share * (count + more)) <= 1.5
    assert after.equals(paper(items_of(count + more), np.arange(count + more), seed=seed, kept=before))


def test_a_new_duplicate_follows_its_group_and_a_group_that_grew_together_trains():
    before = pl.DataFrame({"item": ["a", "b", "c", "d"], "split": ["test", "train", "val", "predict"]})
    items, groups = ["a", "b", "c", "d", "e", "f"], np.array([0, 1, 0, 2, 1, 0])
    splits = dict(paper(items, groups, seed=0, kept=before).iter_rows())
    assert splits["b"] == splits["e"] == "train"
    assert splits["a"] == splits["c"] == splits["f"] == "val"  # neither was trained on, val was looked at
    assert splits["d"] in ("train", "val", "test")


def test_a_given_split_is_followed_and_its_torn_groups_are_shown():
    given_split = pl.DataFrame({"item": ["a", "b", "c", "other"], "split": ["train", "test", "val", "train"]})
    groups = np.array([5, 6, 5])
    splits = paper(["b", "a", "c"], np.array([6, 5, 5]), seed=0, given=given_split)
    assert splits.rows() == [("b", "test"), ("a", "train"), ("c", "val")]
    torn = torn_groups(splits, np.array([6, 5, 5]))
    assert torn.rows() == [(5, ["a", "c"], ["train", "val"])]
    lacking = paper(["a", "new", "c"], groups, seed=0, given=given_split)
    assert lacking.rows() == [("a", "train"), ("new", "gap"), ("c", "val")]


def test_the_oldest_train_and_the_newest_test():
    times = np.array([50, 10, 40, 20, 30, 60, 90, 70, 80, 100])
    splits = timed(items_of(10), times, np.arange(10))
    assert splits.filter(split="val")["item"].to_list() == ["6"]
    assert splits.filter(split="test")["item"].to_list() == ["9"]


def test_a_group_goes_where_its_latest_member_belongs():
    times = np.arange(10)
    groups = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 0])  # the oldest and the newest are duplicates
    splits = dict(timed(items_of(10), times, groups).iter_rows())
    assert splits["9"] == "test"
    assert splits["0"] == "gap"  # too old to be tested on by what was known before the first test item


def test_labels_that_were_not_known_when_the_first_test_item_was_published_are_in_the_gap():
    splits = timed(items_of(100), np.arange(100), np.arange(100), horizon=30)
    first = 90
    assert counts(splits) == {"train": 54, "val": 7, "gap": 29, "test": 10}
    assert splits["split"].to_list() == ["train"] * 54 + ["val"] * 7 + ["gap"] * 29 + ["test"] * 10
    assert splits.filter(split="val")["item"].to_list()[-1] == str(first - 30)


def test_a_horizon_longer_than_the_data_leaves_nothing_to_train_on():
    assert counts(timed(items_of(100), np.arange(100), np.arange(100), horizon=1000)) == {"gap": 90, "test": 10}


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 25)), min_size=2, max_size=60), st.integers(0, 30))
def test_no_label_is_trained_on_before_it_was_known(rows, horizon):
    times, groups = (np.array(column) for column in zip(*rows))
    splits = timed(items_of(len(rows)), times, groups, horizon=horizon)
    frame = splits.with_columns(time=pl.Series(times), group=pl.Series(groups))
    begin = frame.filter(split="test")["time"].min()
    fitted = frame.filter(pl.col("split").is_in(["train", "val"]))
    assert begin is None or fitted.is_empty() or fitted["time"].max() + horizon <= begin
    sides = frame.filter(pl.col("split") != "gap")
    assert sides.group_by("group").agg(pl.col("split").n_unique())["split"].max() in (None, 1)


def test_an_item_without_a_time_is_in_no_split():
    splits = timed(["a", "b", "c"], pl.Series([1, None, 2]), np.array([0, 0, 1]))
    assert splits["split"].null_count() == 1 and splits.row(1) == ("b", None)


@pytest.mark.parametrize("fractions", [(0.8, 0.1), (0.8, 0.3, -0.1), (0.5, 0.1, 0.1)])
def test_wrong_fractions(fractions):
    with pytest.raises(ValueError, match="three numbers from 0 that sum to 1"):
        paper(["a"], np.array([0]), seed=0, fractions=fractions)


def test_one_group_an_item():
    with pytest.raises(ValueError, match="2 items and 1 groups"):
        paper(["a", "b"], np.array([0]), seed=0)
