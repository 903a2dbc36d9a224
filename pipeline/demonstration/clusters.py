"""Exact simulation of a multivariate Hawkes process by its cluster representation.

A linear Hawkes process with intensity

    lambda_k(t) = mu_k(t) + sum_m sum_{t_j < t, type m} G_km d_m exp(-d_m (t - t_j))

is a Poisson cluster process (Hawkes and Oakes, 1974). Immigrants of type k arrive as a Poisson process of rate mu_k(t). Every
event of type m has, independently, a Poisson(G_km) number of children of type k, each after an exponential delay of rate d_m.
The simulation draws all sequences generation by generation. It needs no bound, no grid and no rejection.

Time is in hours since publication. Events after a sequence's end are dropped at once. Their descendants would come even
later, so the kept events are exactly the process on the window.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Background:
    """mu_k(t) of n sequences: a sum of c components that decay exponentially.

    Component i of sequence s is `rate[s, i] * exp(-(t - start[s, i]) / lasting[s, i])` from `start[s, i]` on. A share
    `mix[s, k]` of its events is of type k. `lasting = inf` gives a constant rate.
    """

    rate: np.ndarray  # (n, c) events per hour, all types
    start: np.ndarray  # (n, c) hours
    lasting: np.ndarray  # (n, c) hours
    mix: np.ndarray  # (n, types), rows sum to 1

    def mass(self, end: np.ndarray) -> np.ndarray:
        """Return the expected immigrants of all types on [0, end] as (n, c); `end` is (n,) in hours."""
        return self.rate * _elapsed(np.maximum(end[:, None] - self.start, 0.0), self.lasting)


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
        branching: (n, types, types); G[s, k, m] is the mean number of children of type k per event of type m.
        decay: (types,) per hour.
        end: (n,) hours.
        rng: Source of randomness.

    Raises:
        ValueError: A branching matrix has a spectral radius of 1 or more, so its clusters need not end.
    """
    radius = np.abs(np.linalg.eigvals(branching)).max(axis=-1)
    if (radius >= 1).any():
        worst = int(radius.argmax())
        raise ValueError(
            f"sequence {worst}: spectral radius of the branching matrix is {radius[worst]:.3f}, allowed: < 1"
        )
    mass = background.mass(end)  # (n, c)
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
    type_ = (rng.random(sequence.size)[:, None] > background.mix.cumsum(axis=1)[sequence, :-1]).sum(axis=1)

    generations = [(sequence, time, type_)]
    while sequence.size:
        children = rng.poisson(branching[sequence, :, type_])  # (parents, types)
        parent, child_type = (np.repeat(index.ravel(), children.ravel()) for index in np.indices(children.shape))
        when = time[parent] + rng.exponential(1.0, parent.size) / decay[type_[parent]]
        inside = when < end[sequence[parent]]
        sequence, time, type_ = sequence[parent][inside], when[inside], child_type[inside]
        generations.append((sequence, time, type_))
    sequence, time, type_ = (np.concatenate(parts) for parts in zip(*generations, strict=True))
    order = np.lexsort((time, sequence))
    return Events(sequence[order], time[order], type_[order])
