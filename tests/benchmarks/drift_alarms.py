"""False alarms of the check for drift on shuffled data, and how long it takes to find a change, beside ADWIN.

    python tests/benchmarks/drift_alarms.py --store store/demo --nights 1000

A shuffled night draws its training videos and its newest videos from all videos at random, so nothing can have changed. The
second table simulates the errors of past forecasts as a stream, 20 per night. ADWIN needs `pip install river`.
"""

from __future__ import annotations

import argparse

import numpy as np
from river.drift import ADWIN

from assets.memory.feature_join import usable_items
from assets.monitoring.drift import mean_vectors
from assets.protocol.labels import label_matrix
from assets.protocol.popularity import read_popularity
from models.drift_tests import NIGHTS, compare_shares, compare_values, compare_vectors, level
from models.predictors.features import MODALITIES
from storage.store import Store

PER_NIGHT, NEWEST = 20, 200
ALLOWED = (1.0, 10.0, 100.0)  # false alarms per year


def shuffled(store: Store, nights: int) -> list[np.ndarray]:
    """Return the p-values of every test of every shuffled night."""
    items = usable_items(store)
    ids, training = items["item"].to_list(), int((items["split"] == "train").sum())
    vectors = {name: mean_vectors(store, name, ids) for name in (*MODALITIES, "content")}
    windows = items.join(read_popularity(store), on="item", how="left", maintain_order="left")
    numbers = {"label": label_matrix(store, ids)[:, 0], "events": windows["observed_events"].to_numpy()}
    random, found = np.random.default_rng(0), []
    for _ in range(nights):
        order = random.permutation(len(ids))
        sides = np.sort(order[:training]), order[training : training + NEWEST]
        tests = []
        for name, values in numbers.items():
            earlier, newest = (values[side][~np.isnan(values[side])] for side in sides)
            tests.append(compare_values(name, earlier, newest))
        for name, (values, present) in vectors.items():
            tests.append(compare_shares(name, *(present[side] for side in sides), part="has it"))
            tests += compare_vectors(name, *(values[side][present[side]] for side in sides))
        found.append(np.array([test.p_value for test in tests]))
    return found


def warned_by_test(errors: np.ndarray, *, allowed: float) -> list[int]:
    """Return the nights on which the newest errors differ from those before, as the check compares them."""
    limit, nights = level(1, false_alarms=allowed), []
    for night in range(1, len(errors) // PER_NIGHT + 1):
        seen = errors[: night * PER_NIGHT]
        earlier, newest = seen[:-NEWEST], seen[-NEWEST:]
        if len(earlier) >= NEWEST and compare_values("error", earlier, newest).p_value < limit:
            nights.append(night)
    return nights


def warned_by_adwin(errors: np.ndarray, *, delta: float) -> list[int]:
    """Return the nights on which ADWIN (Bifet and Gavalda 2007) finds a change of the mean."""
    detector, nights = ADWIN(delta=delta), []
    for place, error in enumerate(errors):
        detector.update(float(error))
        if detector.drift_detected:
            nights.append(place // PER_NIGHT + 1)
    return sorted(set(nights))


def streams(years: int) -> None:
    """Print false alarms per year, and the nights until a moved mean is found, of both ways to watch errors."""
    ways = {
        "newest against earlier errors (false_alarms = 1)": lambda errors: warned_by_test(errors, allowed=1.0),
        "ADWIN (delta = 0.002, its default)": lambda errors: warned_by_adwin(errors, delta=0.002),
        "ADWIN (delta = 1e-6)": lambda errors: warned_by_adwin(errors, delta=1e-6),
    }
    change = 100
    for name, warned in ways.items():
        random = np.random.default_rng(0)
        false = [len(warned(random.normal(size=NIGHTS * PER_NIGHT))) for _ in range(years)]
        print(f"{name}: {np.mean(false):.2f} nights with a false alarm per year ({years} years)")
        for shift in (0.3, 0.5, 1.0):
            delays = []
            for _ in range(years):
                errors = random.normal(size=150 * PER_NIGHT)
                errors[change * PER_NIGHT :] += shift
                after = [night for night in warned(errors) if night > change]
                delays.append(after[0] - change if after else np.nan)
            late = np.isnan(delays).sum()
            print(
                f"    mean moved by {shift}: found after {np.nanmedian(delays):g} nights (median), never in {late} of {years}"
            )


def main() -> None:
    """Print both measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", required=True, help="folder of a finished store")
    parser.add_argument("--nights", type=int, default=1000)
    parser.add_argument("--years", type=int, default=10)
    args = parser.parse_args()
    p_values = shuffled(Store(args.store), args.nights)
    for allowed in ALLOWED:
        alarms = [(night < level(len(night), false_alarms=allowed)).any() for night in p_values]
        print(
            f"false_alarms = {allowed:g}: {sum(alarms)} of {args.nights} shuffled nights warn, "
            f"{np.mean(alarms) * NIGHTS:.2f} per year ({len(p_values[0])} tests per night)",
            flush=True,
        )
    streams(args.years)


if __name__ == "__main__":
    main()
