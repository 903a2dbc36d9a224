"""Generated exposures in which it is known which clicks belong to which interest, and which clicks are false.

Items have a topic, which their content shows with noise. Every user is interested in a few topics. An interest is active in
spells, each interest with a time scale of its own: the spells of the fastest last ten exposures on average, those of
the slowest as long as the history. Half of the exposures show a topic of the user's interests, the others a random
one. An item of an active interest is clicked with probability 0.8, of a dormant one with 0.2. A share of all clicks is
false: they fall on items of no interest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.recommenders import HistorySplit, ItemFeatures, UserHistories, by_share

HOUR = 3_600_000
ACTIVE, DORMANT = 0.8, 0.2


@dataclass(frozen=True)
class InterestWorld:
    """The exposures and what was planted.

    Attributes:
        histories: The exposures.
        features: Content of the items.
        split: The last fifth of each user's exposures is for the test, a tenth before for validation.
        interest: (E,) number of the user's interest that an exposure's item belongs to, -1 for none.
        is_false: (E,) whether an exposure is a false click.
    """

    histories: UserHistories
    features: ItemFeatures
    split: HistorySplit
    interest: np.ndarray
    is_false: np.ndarray


def make_world(
    *,
    users: int = 300,
    items: int = 2000,
    topics: int = 24,
    interests: int = 4,
    exposures: int = 160,
    width: int = 32,
    noise: float = 0.5,
    false_share: float = 0.2,
    seed: int = 0,
) -> InterestWorld:
    """Draw a world; `false_share` is the share of false clicks among all clicks."""
    random = np.random.default_rng(seed)
    topic = np.r_[np.arange(topics), random.integers(topics, size=items - topics)]
    content = random.standard_normal((topics, width))[topic] + noise * random.standard_normal((items, width))
    members = [np.flatnonzero(topic == number) for number in range(topics)]
    spells = np.geomspace(10, exposures, interests)
    item = np.empty((users, exposures), np.int32)
    interest, clicked, is_false = (np.empty((users, exposures), kind) for kind in (np.int64, bool, bool))
    for user in range(users):
        own = random.permutation(topics)[:interests]
        changes = random.random((interests, exposures)) < 1 / random.permutation(spells)[:, None]
        active = (changes.cumsum(1) + random.integers(2, size=(interests, 1))) % 2 == 0
        shown = np.where(
            random.random(exposures) < 0.5,
            own[random.integers(interests, size=exposures)],
            random.integers(topics, size=exposures),
        )
        item[user] = [random.choice(members[number]) for number in shown]
        number = np.full(topics, -1)
        number[own] = np.arange(interests)
        interest[user] = number[shown]
        chance = np.where(active[interest[user], np.arange(exposures)], ACTIVE, DORMANT) * (interest[user] >= 0)
        clicked[user] = random.random(exposures) < chance
        false = round(clicked[user].sum() * false_share / (1 - false_share))
        is_false[user] = False
        is_false[user, random.permutation(np.flatnonzero(interest[user] < 0))[:false]] = True
        clicked[user] |= is_false[user]
    hours = random.exponential(1.0, (users, exposures)).cumsum(1)
    histories = UserHistories(
        users=np.arange(users).astype(str),
        items=np.arange(items).astype(str),
        start=np.arange(users + 1) * exposures,
        item=item.ravel(),
        time=(HOUR * hours).astype(np.int64).ravel(),
        clicked=clicked.ravel(),
    )
    features = ItemFeatures({"visual": content.astype(np.float32)})
    return InterestWorld(
        histories, features, by_share(histories, dev=0.1, test=0.2), interest.ravel(), is_false.ravel()
    )
