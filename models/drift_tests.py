"""Two-sample tests of whether newer videos are distributed like earlier ones (M3TR appendix H.3, monitoring).

Every test gives a p-value, so any number of quantities can be watched at a known rate of false alarms: `level` divides the
allowed rate among the tests. Vectors are tested along the main directions of the earlier ones. The directions are fitted to
half of the earlier vectors and only the other half is compared: along directions that were fitted to a sample, the sample
itself differs from any later one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

COMPONENTS = 8  # main directions of vectors that are tested
NIGHTS = 365


@dataclass(frozen=True)
class DriftTest:
    """The result of one test.

    Attributes:
        quantity: What was compared, such as "visual".
        part: Which part of it, such as "direction 3"; empty for a quantity that is one number.
        earlier: Number of earlier values.
        newest: Number of newest values.
        distance: Largest difference between the two cumulative distributions, or the difference of two shares, 0 to 1.
        shift: Mean of the newest minus mean of the earlier values, in standard deviations of the earlier ones; NaN if these are
            equal, or for shares.
        p_value: Probability of such a distance if nothing changed.
    """

    quantity: str
    part: str
    earlier: int
    newest: int
    distance: float
    shift: float
    p_value: float


def compare_values(quantity: str, earlier: np.ndarray, newest: np.ndarray, *, part: str = "") -> DriftTest:
    """Compare numbers with the Kolmogorov-Smirnov test, which assumes no form of the distribution.

    With ties, as among counts, the p-value is too large rather than too small.

    Args:
        quantity: What is compared.
        earlier: (n,) earlier values, n > 0.
        newest: (m,) newest values, m > 0.
        part: Which part of the quantity.

    Example:
        >>> numbers = np.arange(100.0)
        >>> compare_values("count", numbers, numbers + 50).p_value < 1e-6
        True
    """
    from scipy import stats

    result = stats.ks_2samp(earlier, newest, method="asymp")  # the exact method fails for some sizes
    spread = earlier.std()
    shift = (newest.mean() - earlier.mean()) / spread if spread > 0 else np.nan
    return DriftTest(
        quantity, part, len(earlier), len(newest), float(result.statistic), float(shift), float(result.pvalue)
    )


def compare_shares(quantity: str, earlier: np.ndarray, newest: np.ndarray, *, part: str) -> DriftTest:
    """Compare the shares of two samples that have something, with Fisher's exact test.

    Args:
        quantity: What is compared.
        earlier: (n,) bool, n > 0.
        newest: (m,) bool, m > 0.
        part: Which part of the quantity.
    """
    from scipy import stats

    table = [[int(side.sum()), int((~side).sum())] for side in (earlier, newest)]
    distance = abs(newest.mean() - earlier.mean())
    p_value = float(stats.fisher_exact(table).pvalue)
    return DriftTest(quantity, part, len(earlier), len(newest), float(distance), np.nan, p_value)


def compare_vectors(quantity: str, earlier: np.ndarray, newest: np.ndarray) -> list[DriftTest]:
    """Compare vectors along the main directions of the earlier ones, and in their distance from these directions.

    The distance finds what lies outside: videos of a kind that there was none of before.

    Args:
        quantity: What is compared.
        earlier: (n, d) earlier vectors, n > 3, in any order that does not depend on their values. Every second one is used
            to find the directions, the others are compared.
        newest: (m, d) newest vectors, m > 0.

    Returns:
        One test per direction, at most `COMPONENTS`, and one of the distance.
    """
    from scipy.linalg import eigh

    fitted, held = earlier[::2].astype(np.float64), earlier[1::2].astype(np.float64)
    centre, width = fitted.mean(axis=0), earlier.shape[1]
    covariance = (fitted - centre).T @ (fitted - centre)
    last = (max(width - COMPONENTS, 0), width - 1)  # the largest eigenvalues come last
    directions = eigh(covariance, subset_by_index=last)[1][:, ::-1].T
    sides = [_along(side - centre, directions) for side in (held, newest.astype(np.float64))]
    names = [*(f"direction {number}" for number in range(1, len(directions) + 1)), "outside"]
    return [
        compare_values(quantity, sides[0][:, column], sides[1][:, column], part=name)
        for column, name in enumerate(names)
    ]


def _along(vectors: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Return the coordinates along unit directions (c, d), and the distance from the space that they span, (n, c + 1)."""
    inside = vectors @ directions.T
    outside = np.sqrt(np.maximum((vectors**2).sum(axis=1) - (inside**2).sum(axis=1), 0.0))
    return np.column_stack([inside, outside])


def level(tests: int, *, false_alarms: float) -> float:
    """Return the p-value below which one of several tests of one night raises an alarm.

    Args:
        tests: Number of tests of a night.
        false_alarms: Nights per year that may have an alarm although nothing changed. This is a bound, also if the tests depend
            on each other (Bonferroni).

    Example:
        >>> level(40, false_alarms=1.0) == 1.0 / 365 / 40
        True
    """
    return false_alarms / NIGHTS / max(tests, 1)


def alarms(tests: Sequence[DriftTest], *, false_alarms: float) -> list[DriftTest]:
    """Return the tests of a night that raise an alarm; see `level`."""
    limit = level(len(tests), false_alarms=false_alarms)
    return [test for test in tests if test.p_value < limit]
