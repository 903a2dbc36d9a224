"""The audience: users with a taste for categories and an activity; the user of an event is drawn by both."""

from dataclasses import dataclass

import numpy as np

from pipeline.demonstration.plan import CATEGORIES

COUNT = 3000
CONCENTRATION = 0.3  # of the Dirichlet tastes: most users like two or three categories
ACTIVITY_SPREAD = 0.9  # standard deviation of log activity


@dataclass(frozen=True, slots=True)
class Audience:
    taste: np.ndarray  # (users, categories), rows sum to 1
    activity: np.ndarray  # (users,)

    def draw(self, category: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One user for each event, numbered from 1; `category` (events,) indexes `plan.CATEGORIES`."""
        user = np.empty(category.size, np.int64)
        for c in range(self.taste.shape[1]):
            chosen = category == c
            cumulative = np.cumsum(self.activity * self.taste[:, c])
            user[chosen] = np.searchsorted(cumulative, rng.random(chosen.sum()) * cumulative[-1], side="right") + 1
        return user


def audience(rng: np.random.Generator, *, users: int = COUNT) -> Audience:
    taste = rng.dirichlet(np.full(len(CATEGORIES), CONCENTRATION), users)
    return Audience(taste, rng.lognormal(0.0, ACTIVITY_SPREAD, users))
