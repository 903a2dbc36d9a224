"""The audience: each user has an activity and a taste over categories, and both decide who causes an event."""

from dataclasses import dataclass

import numpy as np

from pipeline.demonstration.plan import CATEGORIES

COUNT = 3000
CONCENTRATION = 0.3  # of the Dirichlet tastes: most users like two or three categories
ACTIVITY_SPREAD = 0.9  # standard deviation of log activity


@dataclass(frozen=True, slots=True)
class Audience:
    """Users with their tastes and activities."""

    taste: np.ndarray  # (users, categories), rows sum to 1
    activity: np.ndarray  # (users,)

    def draw(self, category: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw one user per event, numbered from 1; `category` (events,) indexes `plan.CATEGORIES`."""
        user = np.empty(category.size, np.int64)
        for c in range(self.taste.shape[1]):
            chosen = category == c
            cumulative = np.cumsum(self.activity * self.taste[:, c])
            user[chosen] = np.searchsorted(cumulative, rng.random(chosen.sum()) * cumulative[-1], side="right") + 1
        return user


def audience(rng: np.random.Generator, *, users: int = COUNT) -> Audience:
    """Draw an audience: Dirichlet tastes and log-normal activities."""
    taste = rng.dirichlet(np.full(len(CATEGORIES), CONCENTRATION), users)
    return Audience(taste, rng.lognormal(0.0, ACTIVITY_SPREAD, users))
