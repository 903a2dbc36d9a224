import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.demonstration import plan
from pipeline.demonstration.plan import ARCHETYPES, CATEGORIES, DAY


def drawn(videos: int = 600, uploads: int = 40, seed: int = 0) -> tuple[list[plan.Video], int]:
    return plan.draw(videos=videos, uploads=uploads, rng=np.random.default_rng(seed))


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
