from dataclasses import replace

import numpy as np
import pytest

from pipeline.demonstration import feedback, plan
from pipeline.demonstration.plan import ARCHETYPES, HOUR, Style, Video

ONE = Video(
    item=1,
    author=1,
    category="cooking",
    style=Style(0.5, 0.5, 0.5, 0.5),
    appeal=0.0,
    archetype="slow burn",
    published_at=plan.START,
    upload=False,
    original=1,
    file="ok",
    sound=True,
)
LATE = plan.START + 30 * plan.DAY


def events_of(archetype: str, *, appeal: float = 0.0, n: int = 400, end: int = LATE, seed: int = 0):
    videos = [replace(ONE, archetype=archetype, appeal=appeal)] * n
    rng = np.random.default_rng(seed)
    process = feedback.parameters(videos, rng)
    return process, feedback.draw(videos, process, end=end, rng=rng)


def test_cumulative_curves_have_the_shapes_of_the_archetypes():
    part = {}
    for name in ARCHETYPES:
        _, events = events_of(name)
        week = events.time[events.time < 168]
        part[name] = [(week < hours).mean() for hours in (6, 24, 96)]
    assert part["flash in the pan"][0] > 0.5 and part["flash in the pan"][1] > 0.95
    assert 0.05 < part["viral explosion"][0] < 0.4 and 0.4 < part["viral explosion"][1] < 0.8
    assert part["viral explosion"][2] > 0.95
    assert part["slow burn"][1] == pytest.approx(24 / 168, abs=0.06)
    assert part["slow burn"][2] == pytest.approx(96 / 168, abs=0.08)
    assert part["sleeper hit"][1] < 0.1 and part["sleeper hit"][2] > 0.4


def test_appeal_brings_feedback_in_every_archetype():
    for name in ARCHETYPES:
        dull, appealing = (events_of(name, appeal=appeal)[1].time.size for appeal in (-1.0, 1.0))
        assert appealing > 1.5 * dull


def test_a_sleeper_that_will_wake_shows_it_in_its_shares():
    process, events = events_of("sleeper hit", n=2000)
    early = events.time < 24
    shares = np.bincount(events.sequence[early & (events.type == 2)], minlength=2000)
    total = np.bincount(events.sequence[early], minlength=2000)
    woken = process.background.rate[:, 1] > np.median(process.background.rate[:, 1])
    assert shares[woken].sum() / total[woken].sum() > 1.1 * shares[~woken].sum() / total[~woken].sum()


def test_comments_on_a_flash_excite_only_comments():
    quarrel = feedback.branching_matrix("flash in the pan")
    assert quarrel[2, 1] == 0 and quarrel[1, 1] > 0.2


@pytest.mark.parametrize("archetype", ARCHETYPES)
def test_comments_prevent_likes_and_nothing_else_is_prevented(archetype: str):
    matrix = feedback.branching_matrix(archetype)
    assert matrix[0, 1] == -feedback.PREVENTED_LIKES < 0 and (matrix < 0).sum() == 1


def test_a_quarrel_is_a_wave_of_comments_that_suppresses_the_likes():
    """In the hours after a quarrel began there are far fewer likes than at the same age of a video without a quarrel."""
    process, events = events_of("slow burn", n=2000)
    quarrels = process.background.rate[:, 2] > 0
    assert 0.15 < quarrels.mean() < 0.35
    since = events.time - process.background.start[events.sequence, 2]
    after = (since > 0) & (since < 3)
    rates = np.zeros((2, 2))  # per video: rows without and with a quarrel, columns likes and comments
    for kind in (0, 1):
        count = np.bincount(events.sequence[after & (events.type == kind)], minlength=len(quarrels))
        rates[:, kind] = count[~quarrels].mean(), count[quarrels].mean()
    assert rates[1, 1] > 3 * rates[0, 1] and rates[1, 0] < 0.6 * rates[0, 0]


@pytest.mark.parametrize("archetype", ARCHETYPES)
def test_branching_ratio_is_the_spectral_radius_of_the_excitation(archetype: str):
    radius = np.abs(np.linalg.eigvals(np.maximum(feedback.branching_matrix(archetype), 0))).max()
    assert radius == pytest.approx(feedback.SHAPES[archetype].branching)


def test_events_end_with_the_clock():
    _, events = events_of("slow burn", end=plan.START + 5 * HOUR)
    assert 4.5 < events.time.max() < 5
    _, lifelong = events_of("slow burn", end=LATE)
    assert 8.9 * 24 < lifelong.time.max() < feedback.LIFETIME_DAYS * 24
