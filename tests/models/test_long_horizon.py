"""T-mAP and OTD by their definitions, against the published package, and forecasts made for them."""

import itertools

import numpy as np
import pytest

from models.long_horizon import ScoredEvents, for_every_type, optimal_transport_distance, temporal_map
from models.long_horizon_forecasts import history_density, likely_events, most_popular


def largest_matching(targets, guesses, tolerance):
    """By trying all injections of the smaller set."""
    near = np.abs(targets[:, None] - guesses) <= tolerance
    near = near if len(targets) <= len(guesses) else near.T
    return max(
        (
            sum(near[i, j] for i, j in enumerate(chosen))
            for chosen in itertools.permutations(range(near.shape[1]), len(near))
        ),
        default=0,
    )


@pytest.mark.parametrize("seed", range(6))
def test_temporal_map_is_its_definition(seed):
    g = np.random.default_rng(seed)
    targets, forecasts = [], []
    for _ in range(4):
        n, p = g.integers(0, 5), g.integers(0, 6)
        targets.append((np.sort(g.uniform(0, 6, n)), g.integers(0, 2, n)))
        # scores of one digit, so that some are equal
        forecasts.append(ScoredEvents(g.uniform(0, 6, p), g.integers(0, 2, p), g.uniform(0, 1, p).round(1)))
    found = temporal_map(targets, forecasts, num_types=3, horizon=5.0, tolerance=1.0)
    for kind in range(3):
        total = sum(((times < 5) & (types == kind)).sum() for times, types in targets)
        thresholds = sorted({score for each in forecasts for score, at, own in
                             zip(each.scores, each.times, each.types) if own == kind and at < 5}, reverse=True)  # fmt: skip
        average, before = 0.0, 0.0
        for threshold in thresholds:
            right = made = 0
            for (times, types), each in zip(targets, forecasts):
                chosen = (each.scores >= threshold) & (each.types == kind) & (each.times < 5)
                own = times[(types == kind) & (times < 5)]
                right += largest_matching(own, each.times[chosen], 1.0)
                made += chosen.sum()
            recall = right / max(total, 1)
            average, before = average + right / made * (recall - before), recall
        assert found.by_type[kind] == pytest.approx(average, abs=1e-12)
    assert found.by_type[2] == 0.0 and found.value == pytest.approx(found.by_type.mean())


def test_scores_are_those_of_hotpp_benchmark():
    """Stored numbers of hotpp-benchmark 0.7.0 (float32): TMAPMetric(10, [1]) and OTDMetric(1, 1) on the same arrays."""
    g, types = np.random.default_rng(7), 3
    times, kinds = np.sort(g.uniform(0, 12, (12, 8)), 1), g.integers(0, types, (12, 8))
    guessed, scores = np.sort(g.uniform(0, 12, (12, 10)), 1), g.uniform(0, 1, (12, 10, types))
    times, guessed = times.round(3), guessed.round(3)
    targets = list(zip(times, kinds))
    guesses = [
        ScoredEvents(at.repeat(types), np.tile(np.arange(types), 10), score.ravel())
        for at, score in zip(guessed, scores)
    ]
    found = temporal_map(targets, guesses, num_types=types, horizon=10.0, tolerance=1.0)
    assert found.value == pytest.approx(0.2664769689, abs=1e-6)
    assert found.weighted == pytest.approx(0.2795814276, abs=1e-6)
    sequences = [(at[:8], score.argmax(-1)[:8]) for at, score in zip(guessed, scores)]
    assert optimal_transport_distance(targets, sequences) == pytest.approx(11.192000389, abs=1e-6)


def edit_distance(first, second, insert, delete):
    """The least cost over all partial pairings of events of equal type."""
    (when, what), (guessed, kinds) = first, second
    if not len(when):
        return delete * len(guessed)
    best = insert + edit_distance((when[1:], what[1:]), second, insert, delete)
    for j in np.flatnonzero(kinds == what[0]):
        rest = (np.delete(guessed, j), np.delete(kinds, j))
        best = min(best, abs(when[0] - guessed[j]) + edit_distance((when[1:], what[1:]), rest, insert, delete))
    return best


@pytest.mark.parametrize("seed", range(5))
def test_the_transport_distance_is_the_least_cost_of_all_edits(seed):
    g = np.random.default_rng(seed)
    one, other = ((np.sort(g.uniform(0, 4, n)), g.integers(0, 2, n)) for n in (4, 3))
    want = edit_distance(one, other, 0.7, 0.4)
    assert optimal_transport_distance([one], [other], insert_cost=0.7, delete_cost=0.4) == pytest.approx(
        want, abs=1e-12
    )


def test_likely_events_are_scored_by_the_probability_that_they_are_right():
    """The gains of all guesses add up to the mean size of the largest matching, and the first guess is the best one alone."""
    g = np.random.default_rng(2)
    paths = []
    for _ in range(60):
        n = g.integers(0, 5)
        paths.append((np.sort(g.uniform(0, 8, n)), g.integers(0, 2, n)))
    guesses = likely_events(paths, num_types=2, horizon=8.0, tolerance=1.0, candidates=16)
    for kind in range(2):
        own = guesses.types == kind
        sizes = [largest_matching(times[types == kind], guesses.times[own][:6], 1.0) for times, types in paths]
        if own.sum() <= 6:
            assert guesses.scores[own].sum() == pytest.approx(np.mean(sizes))
        places = (np.arange(16) + 0.5) / 2
        alone = [
            np.mean([(np.abs(times[types == kind] - place) <= 1).any() for times, types in paths]) for place in places
        ]
        assert guesses.scores[own].max() == pytest.approx(max(alone))
    assert (guesses.scores > 0).all() and guesses.times.max() < 8


def test_guesses_from_the_true_law_beat_one_path_and_the_history():
    """Bursts of type 1 at a known time after t = 0, and a steady type 0: what simulation knows and a mean rate does not."""
    g = np.random.default_rng(4)

    def path():
        steady = g.uniform(0, 10, g.poisson(3))
        burst = 6 + g.normal(0, 0.3, g.poisson(2))
        times = np.concatenate([steady, burst])
        order = np.argsort(times)
        return times[order], np.repeat([0, 1], [len(steady), len(burst)])[order]

    targets = [path() for _ in range(60)]
    many = [likely_events([path() for _ in range(80)], num_types=2, horizon=10, tolerance=0.8) for _ in targets]
    single = [ScoredEvents(*path(), np.ones(0)) for _ in targets]
    single = [ScoredEvents(each.times, each.types, np.ones(len(each.times))) for each in single]
    history = [
        history_density(np.linspace(0, 10, 6), np.array([0, 1, 0, 1, 0, 0]), num_types=2, horizon=10, intervals=5)
    ] * 60
    options = {"num_types": 2, "horizon": 10.0, "tolerance": 0.8}
    values = [temporal_map(targets, each, **options).value for each in (many, single, history)]
    assert values[0] > 1.3 * max(values[1:]), values


def test_guesses_for_every_type_only_add_recall():
    targets = [(np.array([1.0, 2.0]), np.array([0, 1]))]
    guesses = most_popular(np.array([0.0, 1.0, 2.0]), np.array([0, 0, 1]), num_types=2, length=4)
    options = {"num_types": 2, "horizon": 10.0, "tolerance": 0.5}
    own = temporal_map(targets, [guesses], **options)
    every = temporal_map(targets, [for_every_type(guesses, 2)], **options)
    assert own.by_type[1] == 0 < every.by_type[1] and every.by_type[0] == own.by_type[0] > 0


@pytest.mark.parametrize("score", [
    lambda: temporal_map([], [ScoredEvents(*np.zeros((3, 0)))], num_types=1, horizon=1.0, tolerance=1.0),
    lambda: optimal_transport_distance([(np.zeros(0), np.zeros(0))], []),
])  # fmt: skip
def test_as_many_forecasts_as_sequences_are_needed(score):
    with pytest.raises(ValueError, match="one forecast per sequence"):
        score()
