"""Small random histories with content, and a set in which content says what is clicked next."""

from __future__ import annotations

import numpy as np

from models.recommenders import ItemFeatures, UserHistories


def random_histories(seed: int = 0, *, users: int = 12, items: int = 20, clicked: float = 0.7) -> UserHistories:
    """Users with none to 15 exposures, some at equal times."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 16, users)
    counts[0] = 0
    return UserHistories(
        users=np.array([f"u{number}" for number in range(users)]),
        items=np.array([f"i{number}" for number in range(items)]),
        start=np.r_[0, counts.cumsum()],
        item=rng.integers(0, items, counts.sum()).astype(np.int32),
        time=np.concatenate([np.sort(rng.integers(0, 30, count)) for count in counts]),
        clicked=rng.random(counts.sum()) < clicked,
    )


def random_content(seed: int = 0, *, items: int = 20) -> ItemFeatures:
    """Two modalities; item 3 lacks the second."""
    rng = np.random.default_rng(seed)
    vectors = {"frames": rng.normal(2.0, 3.0, (items, 5)).astype(np.float32)}
    vectors["title"] = rng.normal(size=(items, 4)).astype(np.float32)
    known = np.arange(items) != 3
    vectors["title"][~known] = 0
    return ItemFeatures(vectors, {"title": known})


def cyclic_world(
    *, users: int = 60, groups: int = 4, each: int = 10, length: int = 12
) -> tuple[UserHistories, ItemFeatures]:
    """Users click an item of group g + 1 after one of group g; content names the group, and nothing else does."""
    rng = np.random.default_rng(7)
    first = rng.integers(0, groups, users)
    group = (first[:, None] + np.arange(length)) % groups
    item = group * each + rng.integers(0, each, (users, length))
    histories = UserHistories(
        users=np.array([f"u{number}" for number in range(users)]),
        items=np.array([f"i{number}" for number in range(groups * each)]),
        start=np.arange(users + 1) * length,
        item=item.ravel().astype(np.int32),
        time=np.tile(np.arange(length), users),
        clicked=np.ones(users * length, bool),
    )
    content = np.eye(groups, dtype=np.float32)[np.arange(groups * each) // each]
    return histories, ItemFeatures({"frames": content + rng.normal(0, 0.1, content.shape).astype(np.float32)})
