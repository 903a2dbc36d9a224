import numpy as np
import polars as pl
import pytest

from pipeline.demonstration import authors, feedback, plan, views
from pipeline.demonstration.plan import HOUR


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(0)
    videos, end = plan.draw(videos=300, uploads=20, authors=authors.draw(40, rng), rng=rng)
    process = feedback.parameters(videos, rng)
    events = feedback.draw(videos, process, end=end, rng=rng)
    return videos, process, events, end, views.draw(videos, process, events, now=end, ages=(24, 168), rng=rng)


def test_views_grow_and_are_at_least_the_events_so_far(drawn):
    videos, _, events, _, seen = drawn
    readings = seen.readings.sort("item", "time")
    steps = readings.with_columns(step=pl.col("view").diff().over("item"))["step"].drop_nulls()
    assert (steps >= 0).all() and len(steps) > 3000
    for item in range(1, 40):
        own = readings.filter(pl.col("item") == item)
        stamps = videos[item - 1].published_at + np.floor(events.time[events.sequence == item - 1] * HOUR)
        assert (own["view"].to_numpy() >= (stamps[:, None] <= own["time"].to_numpy()).sum(axis=0)).all()


def test_readings_are_irregular_have_gaps_and_end_with_the_data(drawn):
    videos, _, _, end, seen = drawn
    published = pl.DataFrame({"item": [v.item for v in videos], "published_at": [v.published_at for v in videos]})
    readings = seen.readings.join(published, on="item").sort("item", "time")
    hours = readings.with_columns(step=pl.col("time").diff().over("item") / HOUR)["step"].drop_nulls()
    assert hours.min() > 0.5 and hours.quantile(0.25) < 5 and hours.max() > 24
    assert (readings["time"] <= end).all() and (readings["time"] > readings["published_at"]).all()
    labelled = readings.filter(pl.col("item") <= 300)
    assert (labelled["time"].max() - labelled["published_at"].min()) > 0
    assert labelled.group_by("item").len()["len"].median() > 20


def test_the_mean_of_the_views_is_that_of_the_simulation(drawn):
    """Drawn again from the same events: the mean of the counts that leave no event is the integral of their rate."""
    videos, process, events, end, _ = drawn
    rng, first = np.random.default_rng(1), videos[:10]
    draws = np.array(
        [views.draw(first, process, events, now=end, ages=(168,), rng=rng).counts[:, 0] for _ in range(300)]
    )
    week = events.time < 168
    for row, video in enumerate(first):
        own = week & (events.sequence == row)
        immigrants = process.background.mass(np.array([row]), np.array([168.0])).sum()
        brought = -np.expm1(-feedback.DECAY[events.type[own]] * (168 - events.time[own])).sum()
        mean, slope, spread = views.LOG2_VIEWS
        reach = 2.0 ** (mean + slope * video.appeal) * np.exp((spread * np.log(2)) ** 2 / 2)  # mean of a log-normal
        expected = reach * (immigrants + views.VIEWS_PER_EVENT * brought) + own.sum()
        assert abs(draws[:, row].mean() - expected) < 4 * draws[:, row].std() / len(draws) ** 0.5
