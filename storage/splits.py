"""The split into training, validation and test items. All items of a duplicate group are in the same split."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from storage.hashing import content_hash

FRACTIONS = (0.8, 0.1, 0.1)
NAMES = ("train", "val", "test")
# Split of items that are used for nothing: their label became known too late for training and they are too old for the test
# split, or a published split does not have them.
GAP = "gap"


def _check(items: Sequence[str], groups: np.ndarray, fractions: Sequence[float]) -> None:
    if len(groups) != len(items):
        raise ValueError(f"{len(items)} items and {len(groups)} groups; one group per item is needed")
    if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-9:
        raise ValueError(f"fractions are {tuple(fractions)}, must be three numbers from 0 that sum to 1")


def _cut(ordered: pl.DataFrame, fractions: Sequence[float]) -> pl.DataFrame:
    """Cut ordered groups into splits by `fractions`. A group goes where its middle item falls.

    Args:
        ordered: [group, size].
        fractions: Shares of training, validation and test.
    """
    middle = pl.col("size").cum_sum() - pl.col("size") / 2
    share = middle / pl.col("size").sum()
    # The tolerance makes the result of 0.8 + 0.1 independent of how floats round.
    split = (
        pl.when(share < fractions[0] - 1e-12)
        .then(pl.lit("train"))
        .when(share < fractions[0] + fractions[1] - 1e-12)
        .then(pl.lit("val"))
        .otherwise(pl.lit("test"))
    )
    return ordered.with_columns(split=split)


def paper(
    items: Sequence[str],
    groups: np.ndarray,
    *,
    seed: int,
    fractions: Sequence[float] = FRACTIONS,
    given: pl.DataFrame | None = None,
    kept: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return a random split, the papers' protocol.

    Groups are drawn in the order of a hash of seed and group, so the draw does not depend on the order of the items.

    Args:
        items: n distinct ids.
        groups: (n,) duplicate group of each item.
        seed: Seed of the draw.
        fractions: Shares of training, validation and test, by default 0.8, 0.1 and 0.1.
        given: A published split [item, split]. It is used unchanged, even if it tears a group (see `torn_groups`). Items that
            it lacks are in the gap.
        kept: An earlier draw [item, split]. Its items keep their split and only the others are drawn. So a model that was
            fitted on an item never meets it again in the test split.

    Returns:
        [item, split], in the order of `items`; `split` is train, val, test, or gap if a published split lacks the item.

    Raises:
        ValueError: There is not one group per item, or the fractions are not allowed.

    Example:
        >>> paper(["a", "b", "c"], np.array([1, 1, 2]), seed=0, fractions=(0.5, 0.0, 0.5))["split"].n_unique()
        2
    """
    _check(items, groups, fractions)
    frame = pl.DataFrame({"item": list(items), "group": groups}, schema={"item": pl.String, "group": pl.Int64})
    if given is not None:
        joined = frame.join(given, on="item", how="left", maintain_order="left")
        return joined.select("item", pl.col("split").fill_null(GAP))
    sizes = frame.group_by("group").agg(size=pl.len(), first=pl.col("item").min())
    draw = pl.Series("draw", [content_hash(seed, first) for first in sizes["first"]], dtype=pl.String)
    drawn = sizes.with_columns(draw).sort("draw")
    cut = _cut(drawn, fractions) if kept is None else _filled(drawn, _stays(frame, kept), fractions)
    return frame.join(cut, on="group", how="left", maintain_order="left").select("item", "split")


def _stays(frame: pl.DataFrame, kept: pl.DataFrame) -> pl.DataFrame:
    """Return [group, split] of groups with a kept item. A group with items in several splits goes to the first of NAMES.

    Such a group has formed since the earlier draw. If one of its items was in training, the group must stay there.
    """
    places = frame.join(kept.filter(pl.col("split").is_in(NAMES)), on="item", how="inner")
    return places.group_by("group").agg(pl.col("split").sort_by(pl.col("split").cast(pl.Enum(NAMES))).first())


def _filled(drawn: pl.DataFrame, stays: pl.DataFrame, fractions: Sequence[float]) -> pl.DataFrame:
    """Assign each group without a kept split to the split that is furthest below its share.

    Args:
        drawn: [group, size] in the order of the draw.
        stays: [group, split] of the groups that keep their split.
        fractions: Shares of training, validation and test.
    """
    joined = drawn.join(stays, on="group", how="left", maintain_order="left")
    have = [joined.filter(pl.col("split") == side)["size"].sum() for side in NAMES]
    splits = joined["split"].to_list()
    for row, (size, split) in enumerate(joined.select("size", "split").iter_rows()):
        if split is None:
            total = sum(have) + size
            side = int(np.argmax([share * total - count for share, count in zip(fractions, have, strict=True)]))
            have[side] += size
            splits[row] = NAMES[side]
    return joined.with_columns(pl.Series("split", splits, dtype=pl.String))


def chronological(
    items: Sequence[str],
    times: np.ndarray | pl.Series,
    groups: np.ndarray,
    *,
    label_times: np.ndarray | pl.Series,
    fractions: Sequence[float] = FRACTIONS,
) -> pl.DataFrame:
    """Return a split by time: the oldest items for training, the newest for testing.

    Training and validation use only labels that were known when the first test item was published. The test split is the
    newest share of all items. Older items whose label became known after the first test item was published are in the
    `gap`; the rest is cut between training and validation. A group goes where its latest member belongs. Members of a test
    group that are older than the first test item are in the gap too.

    Args:
        items: (n,) ids.
        times: (n,) int64 unix ms of publication, or of the first event; null if unknown. An item without a time cannot be
            placed: its split is null.
        groups: (n,) duplicate group of each item.
        label_times: (n,) int64 unix ms at which each label was known.
        fractions: Shares of training, validation and test, by default 0.8, 0.1 and 0.1.

    Returns:
        [item, split], in the order of `items`; `split` is train, val, test, gap or null.

    Raises:
        ValueError: There is not one group per item, or the fractions are not allowed.
    """
    _check(items, groups, fractions)
    frame = pl.DataFrame(
        {
            "item": list(items),
            "group": groups,
            "time": pl.Series(times, dtype=pl.Int64),
            "label_time": pl.Series(label_times, dtype=pl.Int64),
        },
        schema_overrides={"item": pl.String},
    )
    placed = frame.filter(pl.col("time").is_not_null())
    sizes = placed.group_by("group").agg(
        size=pl.len(), latest=pl.col("time").max(), known=pl.col("label_time").max(), first=pl.col("item").min()
    )
    ordered = _cut(sizes.sort("latest", "first"), fractions)
    test = ordered.filter(pl.col("split") == "test")
    begin = test["latest"].min()
    before = ordered.filter(pl.col("split") != "test")
    in_time = pl.col("known") <= pl.lit(begin, pl.Int64) if begin is not None else pl.lit(True)
    early = before.filter(in_time)
    if early.height < before.height:
        rest = fractions[0] + fractions[1]
        early = _cut(early, (fractions[0] / rest, fractions[1] / rest, 0.0)) if rest else early
    sides = pl.concat([early, test]).select("group", "split")
    split = (
        pl.when(pl.col("time").is_null())
        .then(None)
        .when((pl.col("split") == "test") & (pl.col("time") < pl.lit(begin, pl.Int64)))
        .then(pl.lit(GAP))
        .otherwise(pl.col("split").fill_null(GAP))
    )
    joined = frame.join(sides, on="group", how="left", maintain_order="left")
    return joined.select("item", split.alias("split"))


def torn_groups(splits: pl.DataFrame, groups: np.ndarray) -> pl.DataFrame:
    """Return the duplicate groups with members in more than one split. Only a published split can have any.

    Args:
        splits: [item, split], n rows.
        groups: (n,) duplicate group of each of these items.

    Returns:
        [group, items, splits].
    """
    frame = splits.with_columns(group=pl.Series(groups, dtype=pl.Int64)).filter(pl.col("split").is_not_null())
    torn = frame.group_by("group", maintain_order=True).agg(
        items=pl.col("item"), splits=pl.col("split").unique().sort()
    )
    return torn.filter(pl.col("splits").list.len() > 1)
