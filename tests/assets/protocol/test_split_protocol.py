import shutil

import polars as pl
import pytest

from assets.engine.store_access import open_store
from assets.protocol.splits import read_splits, split_protocol


@pytest.fixture
def with_own_split(plain_set, tmp_path):
    """The plain set with a split of its own: every fifth item is for validation, every third of the others for testing."""
    folder = tmp_path / "own"
    shutil.copytree(plain_set, folder)
    items = pl.read_csv(folder / "videos.csv")["item"].to_list()
    sides = ["val" if item % 5 == 0 else "test" if item % 3 == 0 else "train" for item in items]
    pl.DataFrame({"item": items, "split": sides}).write_csv(folder / "split.csv")
    return folder


def test_a_set_s_own_split_is_used_without_a_setting(with_own_split, settings_of, materialise):
    settings = settings_of(data__folder=str(with_own_split))
    assert materialise(settings, "*splits").success
    given = dict(pl.read_csv(with_own_split / "split.csv", schema_overrides={"item": pl.String}).iter_rows())
    used = dict(
        read_splits(open_store(settings)).filter(pl.col("split") != "predict").select("item", "split").iter_rows()
    )
    assert used == {item: given[item] for item in used} and len(used) > 40


def test_settings_win_over_a_set_s_own_split(with_own_split, settings_of):
    folder = str(with_own_split)
    assert split_protocol(settings_of(data__folder=folder)).split_file == f"{folder}/split.csv"
    assert split_protocol(settings_of(data__folder=folder, protocol__split_file="drawn")).split_file is None
    assert split_protocol(settings_of(data__folder=folder, protocol__split_file="other.csv")).split_file == "other.csv"
    assert split_protocol(settings_of(data__folder=folder, protocol__split="chronological")).split_file is None


def test_a_set_without_a_split_has_a_drawn_one(settings_of):
    assert split_protocol(settings_of()).split_file is None


def test_items_that_a_published_split_lacks_are_used_for_nothing_and_told_once(
    with_own_split, settings_of, materialise, tmp_path, capfd
):
    given = pl.read_csv(with_own_split / "split.csv", schema_overrides={"item": pl.String})
    sides = {side: given.filter(split=side)["item"].to_list() for side in ("train", "val", "test")}
    left_out = sides["train"].pop()
    folder = tmp_path / "published"
    folder.mkdir()
    for side, items in sides.items():
        (folder / f"{side}.txt").write_text("\n".join([*items, f"unknown-{side}"]))
    settings = settings_of(data__folder=str(with_own_split), protocol__split_file=str(folder))
    assert materialise(settings, "*splits").success
    used = dict(read_splits(open_store(settings)).select("item", "split").iter_rows())
    assert used[left_out] == "gap"
    assert {item for item, side in used.items() if side == "val"} <= set(sides["val"])
    told = capfd.readouterr().err
    assert told.count("labelled items are not in") == 1 and f"used for nothing, first: {left_out}" in told
    assert told.count(f"3 of {len(given) + 2} items of") == 1
