"""Exact simulation of a multivariate Hawkes process with excitation and inhibition.

The intensity of type k is clipped at 0, so that a negative branching number inhibits:

    lambda_k(t) = max(0, mu_k(t) + sum_m sum_{t_j < t, type m} G_km d_m exp(-d_m (t - t_j)))

Without negative numbers this is a Poisson cluster process (Hawkes and Oakes, 1974). Immigrants of type k arrive as a Poisson
process of rate mu_k(t). Every event of type m has, independently, a Poisson(G_km) number of children of type k, each after an
exponential delay of rate d_m. The simulation draws all sequences generation by generation.

With negative numbers, the cluster process of the positive ones yields candidates, which are thinned in order of time (Ogata,
1981). A candidate whose parent was rejected is rejected too. So the intensity of the candidates that remain is the positive
part of lambda_k, given the accepted events; it is a bound of lambda_k and needs no search. A candidate is accepted with
probability lambda_k over that bound. Both methods are exact: there is no grid and no approximation.

Time is in hours since publication. Candidates after a sequence's end are dropped at once. Their descendants would come even
later, so the kept events are exactly the process on the window.
"""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Background:
    """mu_k(t) of n sequences: a sum of c components that decay exponentially.

    Component i of sequence s is `rate[s, i] * exp(-(t - start[s, i]) / lasting[s, i])` from `start[s, i]` on. A share
    `mix[s, i, k]` of its events is of type k. `lasting = inf` gives a constant rate.
    """

    rate: np.ndarray  # (n, c) events per hour, all types
    start: np.ndarray  # (n, c) hours
    lasting: np.ndarray  # (n, c) hours
    mix: np.ndarray  # (n, c, types), rows sum to 1

    def mass(self, sequence: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Return the expected immigrants of all types on [0, end] as (q, c); sequence and end (hours) are (q,)."""
        length = np.maximum(end[:, None] - self.start[sequence], 0.0)
        return self.rate[sequence] * _elapsed(length, self.lasting[sequence])

    def intensity(self, sequence: np.ndarray, time: np.ndarray, type_: np.ndarray) -> np.ndarray:
        """Return mu_k(t) per hour, (q,); sequence, time (hours) and type are (q,)."""
        since = time[:, None] - self.start[sequence]
        # before its start a component is zero; without the clip its exponential could overflow there
        rate = self.rate[sequence] * np.exp(-np.maximum(since, 0.0) / self.lasting[sequence]) * (since >= 0)
        return (rate * self.mix[sequence, :, type_]).sum(axis=1)


def _elapsed(length: np.ndarray, lasting: np.ndarray) -> np.ndarray:
    """Return the integral of exp(-t / lasting) on [0, length]; it is `length` where `lasting` is infinite."""
    constant = np.isinf(lasting)
    scale = np.where(constant, 1.0, lasting)
    return np.where(constant, length, -scale * np.expm1(-length / scale))


@dataclass(frozen=True, slots=True)
class Events:
    """Simulated events, sorted by sequence, then time."""

    sequence: np.ndarray  # (events,) int64
    time: np.ndarray  # (events,) hours
    type: np.ndarray  # (events,) int64


def simulate(
    background: Background, branching: np.ndarray, decay: np.ndarray, end: np.ndarray, rng: np.random.Generator
) -> Events:
    """Draw n sequences of the process.

    Args:
        background: mu_k(t) of the n sequences.
        branching: (n, types, types); G[s, k, m] is the mean number of children of type k per event of type m. A negative
            number is the mean number of events of type k that an event of type m prevents, while there are any to prevent.
        decay: (types,) per hour.
        end: (n,) hours.
        rng: Source of randomness.

    Raises:
        ValueError: The positive part of a branching matrix has a spectral radius of 1 or more, so its clusters need not end.
    """
    exciting = np.maximum(branching, 0.0)
    radius = np.abs(np.linalg.eigvals(exciting)).max(axis=-1)
    if (radius >= 1).any():
        worst = int(radius.argmax())
        raise ValueError(
            f"sequence {worst}: spectral radius of the branching matrix is {radius[worst]:.3f}, allowed: < 1"
        )
    candidates, parent = _clusters(background, exciting, decay, end, rng)
    if (branching >= 0).all():
        return candidates
    kept = _thin(candidates, parent, background, branching, decay, rng)
    return Events(candidates.sequence[kept], candidates.time[kept], candidates.type[kept])


def _clusters(
    background: Background, branching: np.ndarray, decay: np.ndarray, end: np.ndarray, rng: np.random.Generator
) -> tuple[Events, np.ndarray]:
    """Draw the cluster process; also return the place of each event's parent among the events, or -1, (events,)."""
    mass = background.mass(np.arange(len(end)), end)  # (n, c)
    count = rng.poisson(mass)
    sequence, component = (np.repeat(index.ravel(), count.ravel()) for index in np.indices(mass.shape))
    # Inversion: the time of an immigrant in one component is truncated exponential, or uniform if the rate is constant.
    lasting, start = background.lasting[sequence, component], background.start[sequence, component]
    length = np.maximum(end[sequence] - start, 0.0)
    uniform = rng.random(sequence.size)
    constant = np.isinf(lasting)
    scale = np.where(constant, 1.0, lasting)
    falling = -scale * np.log1p(uniform * np.expm1(-length / scale))
    time = start + np.where(constant, uniform * length, falling)
    shares = background.mix.cumsum(axis=2)[sequence, component, :-1]
    type_ = (rng.random(sequence.size)[:, None] > shares).sum(axis=1)

    generations, drawn = [(sequence, time, type_, np.full(sequence.size, -1))], 0
    while sequence.size:
        children = rng.poisson(branching[sequence, :, type_])  # (parents, types)
        parent, child_type = (np.repeat(index.ravel(), children.ravel()) for index in np.indices(children.shape))
        when = time[parent] + rng.exponential(1.0, parent.size) / decay[type_[parent]]
        inside = when < end[sequence[parent]]
        parent = parent[inside]
        drawn, place = drawn + sequence.size, drawn + parent
        sequence, time, type_ = sequence[parent], when[inside], child_type[inside]
        generations.append((sequence, time, type_, place))
    sequence, time, type_, parent = (np.concatenate(parts) for parts in zip(*generations, strict=True))
    order = np.lexsort((time, sequence))
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    parent = np.where(parent < 0, -1, place[parent])[order]
    return Events(sequence[order], time[order], type_[order]), parent


def _thin(
    candidates: Events,
    parent: np.ndarray,
    background: Background,
    branching: np.ndarray,
    decay: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return which candidates are events of the process, (candidates,) bool."""
    types = decay.size
    mu = background.intensity(candidates.sequence, candidates.time, candidates.type).tolist()
    influence = (branching * decay)[candidates.sequence, candidates.type].tolist()  # (candidates, types)
    chance = rng.random(candidates.time.size).tolist()
    kept = [False] * len(chance)
    rates, current = decay.tolist(), -1
    sums, last = [], 0.0  # of each type's accepted events: the sum of exp(-d (t - t_j)), at the time `last`
    columns = (candidates.sequence.tolist(), candidates.time.tolist(), candidates.type.tolist(), parent.tolist())
    for row, (sequence, time, type_, origin) in enumerate(zip(*columns, strict=True)):
        if sequence != current:
            current, sums, last = sequence, [0.0] * types, time
        if origin >= 0 and not kept[origin]:
            continue
        sums = [total * math.exp(rate * (last - time)) for total, rate in zip(sums, rates)]
        last = time
        terms = [weight * total for weight, total in zip(influence[row], sums)]
        bound = mu[row] + sum(term for term in terms if term > 0)
        kept[row] = chance[row] * bound < mu[row] + sum(terms)
        if kept[row]:
            sums[type_] += 1.0
    return np.array(kept)
