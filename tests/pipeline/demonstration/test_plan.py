import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.demonstration import authors, plan, split
from pipeline.demonstration.plan import ARCHETYPES, CATEGORIES, DAY


def drawn(videos: int = 600, uploads: int = 40, seed: int = 0) -> tuple[list[plan.Video], int]:
    rng = np.random.default_rng(seed)
    return plan.draw(videos=videos, uploads=uploads, authors=authors.draw(1000, rng), rng=rng)


@settings(max_examples=30, deadline=None)
@given(videos=st.integers(10, 200), uploads=st.integers(0, 30), seed=st.integers(0, 1000))
def test_items_publications_and_originals_are_in_order(videos: int, uploads: int, seed: int):
    items, end = drawn(videos, uploads, seed)
    assert [video.item for video in items] == list(range(1, videos + uploads + 1))
    published = [video.published_at for video in items]
    assert published == sorted(published)
    for video in items:
        age = end - video.published_at
        assert (0 < age < 7 * DAY) if video.upload else age >= 8 * DAY
        original = items[video.original - 1]
        again = video.file in ("copy", "reencoded")
        assert (original.item < video.item and original.file == "ok") if again else original is video
        assert (video.category, video.style, video.appeal) == (original.category, original.style, original.appeal)
        assert video.sound == original.sound
    files = [video.file for video in items]
    assert files.count("damaged") == 1 and min(files.count(f) for f in ("missing", "copy", "reencoded")) >= 1


def test_all_categories_and_archetypes_occur_and_appeal_is_standard():
    items, _ = drawn(4000, 0)
    appeal = np.array([video.appeal for video in items])
    assert appeal.mean() == pytest.approx(0, abs=0.06)
    assert appeal.std() == pytest.approx(1, abs=0.05)
    archetypes = [video.archetype for video in items]
    assert min(archetypes.count(name) for name in ARCHETYPES) > 0.1 * len(items)
    categories = [video.category for video in items]
    assert min(categories.count(name) for name in CATEGORIES) > 0.04 * len(items)
    assert 0.02 < np.mean([not video.sound for video in items]) < 0.06


def test_archetypes_depend_on_what_is_shown():
    """News are mostly flashes, and a dramatic video is more often a flash than a calm one."""
    items, _ = drawn(4000, 0)

    def flashes(chosen: list[plan.Video]) -> float:
        return float(np.mean([video.archetype == "flash in the pan" for video in chosen]))

    assert flashes([v for v in items if v.category == "news"]) > 0.5
    dramatic, calm = ([v for v in items if (v.style.drama > 0.5) == high] for high in (True, False))
    assert flashes(dramatic) > 1.5 * flashes(calm)


def test_followers_and_an_authors_other_videos_tell_something_of_the_appeal():
    rng = np.random.default_rng(0)
    creators = authors.draw(400, rng)
    items, _ = plan.draw(videos=4000, uploads=0, authors=creators, rng=rng)
    author, appeal = np.array([v.author for v in items]) - 1, np.array([v.appeal for v in items])
    assert np.corrcoef(np.log2(1 + creators.followers[author]), appeal)[0, 1] > 0.25
    hidden = np.array([np.corrcoef(creators.talent[author], appeal)[0, 1]])
    assert hidden == pytest.approx((plan.TALENT_SHARE * plan.APPEAL_HIDDEN**2) ** 0.5, abs=0.06)
    assert np.median(np.bincount(author)) >= 3


def test_the_split_keeps_re_uploads_beside_their_originals_and_half_the_videos_for_testing():
    items, _ = drawn(1000, 40)
    sides = dict(split.draw(items, np.random.default_rng(1)).iter_rows())
    assert [sides[video.item] for video in items] == [sides[video.original] for video in items]
    count = {name: sum(sides[v.item] == name for v in items if not v.upload) for name in split.SHARES}
    assert all(abs(count[name] / 1000 - share) < 0.03 for name, share in split.SHARES.items())
    assert all(sides[video.item] == "test" for video in items if video.upload)
