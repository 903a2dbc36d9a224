"""An author's history against a slow reference, and what may be part of it."""

import numpy as np
import polars as pl
import pytest

from assets.metadata.author_history import check_histories, histories, labels_that_count

HOUR, DAY = 3_600_000, 86_400_000


def random_set(seed: int, items: int = 120) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Videos, labels and splits: few authors, equal times of publication, unknown authors, times and labels."""
    rng = np.random.default_rng(seed)
    ids = [f"v{number}" for number in rng.permutation(items)]
    author = [None if rng.random() < 0.1 else f"a{rng.integers(5)}" for _ in ids]
    t0 = [None if rng.random() < 0.05 else int(rng.integers(0, 40)) * 6 * HOUR for _ in ids]
    videos = pl.DataFrame({"item": ids, "author": author, "t0": t0}, schema_overrides={"t0": pl.Int64})
    rows = [
        (item, target, start + span * DAY if rng.random() < 0.9 else None, float(rng.integers(0, 9)))
        for target, span in (("like@1d", 1), ("view@3d", 3))
        for item, start in zip(ids, t0)
        if start is not None and rng.random() < 0.8
    ]
    labels = pl.DataFrame(rows, schema=["item", "target", "label_time", "value"], orient="row")
    sides = pl.DataFrame({"item": ids, "split": rng.choice(["train", "val", "test"], items, p=[0.7, 0.1, 0.2])})
    return videos, labels, sides


def slow_history(item: dict, videos: pl.DataFrame, labels: pl.DataFrame, target: str) -> list[float | None]:
    """The history of one video as its definition says it."""
    if item["author"] is None or item["t0"] is None:
        return [None] * 6
    own = [row for row in videos.to_dicts() if row["author"] == item["author"] and row["t0"] is not None]
    earlier = [row["t0"] for row in own if row["t0"] < item["t0"]]
    known = [
        (label["observable_at"], row["t0"], row["item"], label["value"])
        for row in own
        for label in labels.to_dicts()
        if label["item"] == row["item"] and label["target"] == target and label["observable_at"] < item["t0"]
    ]
    values = [value for *_, value in sorted(known)]
    since = (item["t0"] - max(earlier)) / DAY if earlier else None
    summary = [sum(values) / len(values), values[-1], max(values)] if values else [None] * 3
    return [float(len(earlier)), since, float(len(values)), *summary]


@pytest.mark.parametrize("split", ["paper", "chronological"])
@pytest.mark.parametrize("target", ["like@1d", "view@3d"])
def test_every_history_is_that_of_the_slow_reference(split, target):
    videos, labels, sides = random_set(0)
    counted = labels_that_count(labels, videos, sides, split)
    columns = ["history_items", "history_days_since"]
    columns += [f"history_{name} {target}" for name in ("known", "mean", "last", "max")]
    found = histories(videos, counted, ["like@1d", "view@3d"])
    assert found["item"].to_list() == videos["item"].to_list()
    for item, row in zip(videos.to_dicts(), found.select(columns).iter_rows()):
        assert row == pytest.approx(slow_history(item, videos, counted, target), abs=1e-12), item
    assert found[f"history_last {target}"].drop_nulls().n_unique() > 3


def test_labels_of_validation_and_test_items_count_only_in_the_chronological_split():
    videos, labels, sides = random_set(1)
    counted = labels_that_count(labels, videos, sides, "paper")
    training = set(sides.filter(pl.col("split") == "train")["item"])
    assert set(counted["item"]) <= training
    assert set(labels_that_count(labels, videos, sides, "chronological")["item"]) - training


def test_a_label_that_becomes_known_at_the_publication_is_not_part_of_the_history():
    videos = pl.DataFrame({"item": ["a", "b", "c"], "author": ["x"] * 3, "t0": [0, DAY, DAY + 1]})
    labels = pl.DataFrame({"item": ["a"], "target": ["t"], "observable_at": [DAY], "value": [5.0]})
    assert histories(videos, labels, ["t"])["history_known t"].to_list() == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("split", ["paper", "chronological"])
def test_a_final_count_without_a_time_counts_from_publication_if_predictors_are_trained_on_it(split):
    videos = pl.DataFrame({"item": ["a", "b", "c"], "author": ["x"] * 3, "t0": [0, DAY, 2 * DAY]})
    labels = pl.DataFrame(
        {"item": ["a", "b"], "target": ["t"] * 2, "label_time": [None, None], "value": [5.0, 7.0]},
        schema_overrides={"label_time": pl.Int64},
    )
    sides = pl.DataFrame({"item": ["a", "b", "c"], "split": ["train", "test", "test"]})
    frame = histories(videos, labels_that_count(labels, videos, sides, split), ["t"])
    assert frame["history_known t"].to_list() == [0.0, 1.0, 1.0]
    assert frame["history_last t"].to_list() == [None, 5.0, 5.0]
    assert check_histories(frame, videos, labels, sides, split).passed
    held_out = labels.with_columns(observable_at=pl.Series([0, DAY]))
    assert not check_histories(histories(videos, held_out, ["t"]), videos, labels, sides, split).passed


def test_a_target_without_any_known_label_has_its_columns():
    videos = pl.DataFrame({"item": ["a"], "author": ["x"], "t0": [0]})
    labels = pl.DataFrame(
        schema={"item": pl.String, "target": pl.String, "observable_at": pl.Int64, "value": pl.Float64}
    )
    assert histories(videos, labels, ["view@end"]).row(0) == ("a", 0.0, None, 0.0, None, None, None)


class TestCheck:
    @pytest.mark.parametrize("split", ["paper", "chronological"])
    def test_clean(self, split):
        videos, labels, sides = random_set(2)
        frame = histories(videos, labels_that_count(labels, videos, sides, split), ["like@1d", "view@3d"])
        assert check_histories(frame, videos, labels, sides, split).passed

    def test_an_authors_future_labels(self):
        videos, labels, sides = random_set(2)
        early = labels.with_columns(pl.col("label_time") - 2 * DAY)
        planted = histories(videos, labels_that_count(early, videos, sides, "paper"), ["like@1d", "view@3d"])
        assert not check_histories(planted, videos, labels, sides, "paper").passed

    def test_labels_that_are_held_out(self):
        videos, labels, sides = random_set(2)
        planted = histories(videos, labels_that_count(labels, videos, sides, "chronological"), ["like@1d", "view@3d"])
        assert not check_histories(planted, videos, labels, sides, "paper").passed

    @pytest.mark.parametrize("column", ["history_items", "history_last like@1d", "history_max view@3d"])
    def test_one_wrong_value(self, column):
        videos, labels, sides = random_set(2)
        frame = histories(videos, labels_that_count(labels, videos, sides, "paper"), ["like@1d", "view@3d"])
        item = frame.filter(pl.col(column).is_not_null())["item"][-1]
        planted = frame.with_columns(pl.when(pl.col("item") == item).then(pl.col(column) + 1).otherwise(column))
        result = check_histories(planted, videos, labels, sides, "paper")
        assert not result.passed and result.metadata["first"].value == [item]
