"""A sentence says no more than the numbers do."""

import numpy as np
import pytest

from models.reasons.reasons import Reasons
from models.reasons.sentence import sentence


def reasons(base: float, remainder: float = 0.0, neighbours: int = 0, **parts: float) -> Reasons:
    values = {name: np.array([[value]]) for name, value in parts.items()}
    forecast = np.array([[base + remainder + sum(parts.values())]])
    return Reasons(forecast, np.array([[base]]), values, np.ones((1, 1, neighbours)))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            reasons(5.0, feedback=2.0, neighbours=1, words=-0.5),
            "Above average: mostly its first hours (80 %); its title lowers it (20 %).",
        ),
        (
            reasons(5.0, frames=-0.4, sound=-0.4, author=-0.2),
            "Below average: its frames (40 %), then its sound (40 %).",
        ),
        (
            reasons(5.0, frames=-1.0, sound=0.3, tags=0.2),
            "Below average: mostly its frames (67 %); its sound (20 %) and its hashtags (13 %) raise it.",
        ),
        (reasons(5.0, feedback=1.0, words=-0.05), "Above average: mostly its first hours (95 %)."),
        (
            reasons(5.0, remainder=0.5, feedback=0.6),
            "Above average: mostly its first hours (55 %); 45 % come from parts together and from none alone.",
        ),
        (reasons(5.0, remainder=-0.5), "Below average; 100 % come from parts together and from none alone."),
        (
            reasons(5.0, counted=0.5, feedback=-0.5),
            "About average; its first hours lower it (50 %); models that were below the count so far are raised to it (50 %).",
        ),
        (
            reasons(5.0, feedback=0.5, frames=-0.45),
            "About average; its first hours raise it (53 %); its frames lower it (47 %).",
        ),
        (reasons(5.0, feedback=0.0), "Average: nothing that is known of it moves the forecast."),
    ],
)
def test_what_is_said(given, expected):
    assert sentence(given) == expected


def test_the_neighbours_that_are_read_are_counted():
    one = Reasons(
        np.array([[3.0]]), np.array([[2.0]]), {"neighbours": np.array([[1.0]])}, np.array([[[0.5, 0.0, -0.1]]])
    )
    assert sentence(one) == "Above average: mostly 2 similar videos (100 %)."
