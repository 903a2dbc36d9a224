"""Which posts come before a post: in the order of publication, of anybody or of the same author, and never a later one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.predictors import EarlierPosts, PublishedPosts
from tests.models.predictors.posts_world import make_posts


@pytest.fixture(scope="module")
def posts() -> PublishedPosts:
    return make_posts(200, authors=7, seed=3)


def by_hand(posts: PublishedPosts, own: int, length: int, wanted) -> list[int]:
    """The last `length` posts up to `own` that are wanted, found one by one."""
    if np.isnan(posts.time[own]):
        return [own] + [-1] * (length - 1)
    rows = [*(row for row in range(own) if wanted(row)), own][-length:]
    return rows + [-1] * (length - len(rows))


@pytest.mark.parametrize("length", [1, 4, 30])
def test_posts_of_anybody_are_the_last_ones_in_the_order_of_publication(posts, length):
    found = EarlierPosts(posts, np.arange(len(posts))).of_anybody(length)
    assert found.tolist() == [by_hand(posts, own, length, lambda row: True) for own in range(len(posts))]


@pytest.mark.parametrize("length", [1, 3, 40])
@pytest.mark.parametrize(("block_hours", "within_hours"), [(None, np.inf), (None, 20.0), (5, np.inf), (4, 50.0)])
def test_posts_of_the_author_may_be_limited_to_a_part_of_the_day_and_to_a_time(
    posts, length, block_hours, within_hours
):
    def wanted(own):
        def test(row):
            same_part = block_hours is None or len({posts.calendar[r, 2] // block_hours for r in (row, own)}) == 1
            recent = posts.time[own] - posts.time[row] <= within_hours
            return posts.author[row] == posts.author[own] >= 0 and same_part and recent

        return test

    found = EarlierPosts(posts, np.arange(len(posts))).of_the_author(
        length, block_hours=block_hours, within_hours=within_hours
    )
    assert found.tolist() == [by_hand(posts, own, length, wanted(own)) for own in range(len(posts))]


def test_a_post_of_unknown_time_has_no_earlier_post_and_is_nobodys_earlier_post(posts):
    earlier = EarlierPosts(posts, np.arange(len(posts)))
    for rows in (earlier.of_anybody(6), earlier.of_the_author(6)):
        assert (rows[-2:, 1:] == -1).all() and (rows[:-2] < len(posts) - 2).all()


def test_posts_that_are_out_of_order_or_broken_are_refused(posts):
    with pytest.raises(ValueError, match="time must be ascending"):
        replace(posts, time=posts.time[::-1].copy())
    broken = posts.content["visual"].copy()
    broken[7, 1] = np.inf
    with pytest.raises(ValueError, match="the visual content of post 7 is not finite"):
        replace(posts, content={**posts.content, "visual": broken})
    with pytest.raises(ValueError, match=r"the same number of posts"):
        replace(posts, author=posts.author[1:])
    with pytest.raises(ValueError, match="window 1 has post 200, but there are 200 posts"):
        EarlierPosts(posts, np.array([3, 200]))
