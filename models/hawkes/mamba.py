"""The Mamba-Hawkes process: a point process whose intensity reads a selective state space (M3TR eq. 1; MUFM eq. 46)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from models.events import EventBatch
from models.hawkes.compensator import fixed_rule, integrate, integrate_decaying, softplus_line_integral
from models.hawkes.excitation import Excitation
from models.hawkes.history import gaps_of
from models.hawkes.link import log_soft_link, soft_link
from models.hawkes.network import MambaNetwork, NetworkMemory
from models.hawkes.process import Levels, PointProcess, Snapshot
from models.scan import DISCRETIZATIONS

INTENSITIES = ("m3tr", "mufm")
TRAINING_NODES = 8
OWN_DECAYS = 16  # types, at most, whose pairs have decay rates of their own unless asked for


@dataclass(frozen=True)
class Carried:
    """The history of b sequences at an event in their middle, to go on from: see `MambaHawkesProcess.carry`.

    network: the event, the gap before it and the states before that. sums: those of the classical part just after the
    event; slopes: their derivatives by the log rates, which were log_rate; None without a classical part.
    """

    network: NetworkMemory
    sums: Tensor | None
    slopes: Tensor | None
    log_rate: Tensor | None

    def at(self, rows: Tensor) -> Carried:
        """The histories `rows`, in that order."""
        types, gaps, states = self.network
        network = NetworkMemory(types[rows], gaps[rows], tuple(state[rows] for state in states))
        if self.sums is None:
            return Carried(network, None, None, None)
        return Carried(network, self.sums[rows], self.slopes[rows], self.log_rate)

    @classmethod
    def join(cls, parts: Sequence[Carried]) -> Carried:
        """All histories one after the other; they are of the same parameters."""
        types, gaps, states = zip(*(part.network for part in parts))
        network = NetworkMemory(torch.cat(types), torch.cat(gaps), tuple(torch.cat(state) for state in zip(*states)))
        if parts[0].sums is None:
            return cls(network, None, None, None)
        sums, slopes = (torch.cat(column) for column in zip(*((part.sums, part.slopes) for part in parts)))
        return cls(network, sums, slopes, parts[0].log_rate)


class MambaHawkesProcess(PointProcess):
    """Intensity of type k, with h the network's state after the last event strictly before t, at t_j:

        m3tr  softplus(mu_k + sum_m sum_r sum_{t_j < t} alpha_kmr exp(-delta_kmr (t - t_j) / s) + f_k(h)) / s
        mufm  softplus(a_k (t - t_j) / s + w_k h + b_k) / s

    where softplus(v) = beta_k log(1 + exp(v / beta_k)): additive where the intensity is well above beta_k / s, and
    multiplicative below. M3TR's eq. 1 has beta = 1 in its unit of time; here that unit is free, a type at a time.
    s is `time_scale`, a buffer in the unit of the times: the process lives on the scaled clock t / s (1 as constructed:
    the papers' formulas; `fit` takes s from the data), while intensities and likelihood are in the unit of the times.
    So changing the unit of the times and s together leaves every probability as it was.

    hidden, state, layers   width, states a channel and depth of the network
    decays, shared_decays   exponentials per pair of types, with rates of their own or common to all pairs (m3tr). None: common
                            to all from 17 types on, because memory and time grow with the square of the types otherwise
    log_gaps                whether an event's embedding holds the logarithm of the gap before it
    count_scales            number of time scales at which the events of each type so far enter the embedding (0: none)
    clock_periods           number of periods at which the time since t_start enters the embedding (0: none)
    input_rule              how an event enters the state: zoh, euler, impulse (see models.scan)
    softness                beta_k before the fit, relative to the type's mean intensity; m3tr's fit starts it lower where the
                            classical process asks for it, and both learn it unless `learn_softness` is False. None: beta = 1
                            on the scaled clock for good, M3TR's eq. 1 as written
    tolerance               relative, of each gap's integral outside training (m3tr; mufm's is in closed form)
    """

    def __init__(
        self,
        num_types: int,
        *,
        intensity: str = "m3tr",
        hidden: int = 32,
        state: int = 8,
        layers: int = 1,
        decays: int = 1,
        shared_decays: bool | None = None,
        input_rule: str = "impulse",
        log_gaps: bool = True,
        count_scales: int = 0,
        clock_periods: int = 0,
        dropout: float = 0.0,
        softness: float | None = 1.0,
        learn_softness: bool = True,
        tolerance: float = 1e-7,
    ) -> None:
        super().__init__()
        if intensity not in INTENSITIES:
            raise ValueError(f"intensity {intensity!r}; allowed: {', '.join(INTENSITIES)}")
        if input_rule not in DISCRETIZATIONS:
            raise ValueError(f"input_rule {input_rule!r}; allowed: {', '.join(DISCRETIZATIONS)}")
        if softness is not None and softness <= 0:
            raise ValueError(f"softness must be positive, or None for beta = 1; given {softness}")
        if min(num_types, hidden, state, layers, decays) < 1 or min(count_scales, clock_periods) < 0:
            raise ValueError(
                "num_types, hidden, state, layers and decays must be at least 1, count_scales and clock_periods 0"
            )
        if shared_decays is None:
            shared_decays = num_types > OWN_DECAYS
        self.num_types, self.form, self.tolerance = num_types, intensity, tolerance
        self._config = {
            "num_types": num_types,
            "intensity": intensity,
            "hidden": hidden,
            "state": state,
            "layers": layers,
            "decays": decays,
            "shared_decays": shared_decays,
            "input_rule": input_rule,
            "log_gaps": log_gaps,
            "count_scales": count_scales,
            "clock_periods": clock_periods,
            "dropout": dropout,
            "softness": softness,
            "learn_softness": learn_softness,
            "tolerance": tolerance,
        }
        self.register_buffer("time_scale", torch.ones((), dtype=torch.float64))
        self.register_buffer("initialised", torch.zeros((), dtype=torch.bool))
        self.baseline = nn.Parameter(torch.zeros(num_types))
        self.network = MambaNetwork(
            num_types,
            hidden=hidden,
            state=state,
            layers=layers,
            discretization=input_rule,
            dropout=dropout,
            log_gaps=log_gaps,
            count_scales=count_scales,
            clock_periods=clock_periods,
        )
        self.log_softness = nn.Parameter(
            torch.full((num_types,), math.log(softness or 1.0)), requires_grad=learn_softness and softness is not None
        )
        self.head = nn.Linear(hidden, num_types, bias=False)
        nn.init.normal_(self.head.weight, std=0.02)  # the network begins as a small correction
        if intensity == "m3tr":
            self.excitation = Excitation(num_types, decays=decays, shared=shared_decays)
        else:
            self.excitation = None
            self.slope = nn.Parameter(torch.full((num_types,), -0.1))

    @property
    def hidden(self) -> int:
        """Width of h."""
        return self.network.hidden

    def config(self) -> dict[str, Any]:
        return dict(self._config)

    @property
    def rising(self) -> bool:
        return self.excitation is None and bool((self.slope > 0).any())

    def branching_matrix(self) -> Tensor:
        """Of the classical part: softplus has slope <= 1, so this bounds what the excitation adds. Zero for mufm."""
        if self.excitation is None:
            return torch.zeros(self.num_types, self.num_types, dtype=torch.float64)
        return self.excitation.influence()

    def hidden_states(self, batch: EventBatch) -> Tensor:
        """h (b, l + 1, hidden) before the first event and after every event."""
        return self._run_network(batch)[0]

    def encode(self, batch: EventBatch, carried: Carried | None = None) -> Levels:
        """Levels at every position; `carried` is the history before t_start where the batch goes on from one."""
        h, _ = self._run_network(batch, None if carried is None else carried.network)
        return self.levels(batch, h, carried)

    def levels(self, batch: EventBatch, h: Tensor, carried: Carried | None = None) -> Levels:
        """Levels at every position from its state h (b, l + 1, hidden)."""
        if self.excitation is None:
            return self._levels(h, None)
        before = None
        if carried is not None:  # to first order where the rates are by now, so that they have their gradient
            before = carried.sums + carried.slopes * (self.excitation.log_rate - carried.log_rate)
        return self._levels(h, self.excitation.states(self._scaled(batch.gaps), batch.types, batch.mask, before))

    @torch.no_grad()
    def carry(self, batch: EventBatch, carried: Carried | None = None) -> Carried:
        """The history just after each sequence's last event, for a batch of what follows; no sequence may be empty."""
        gaps, rows = self._scaled(batch.gaps), torch.arange(len(batch), device=batch.times.device)
        final = batch.lengths - 1
        earlier = torch.arange(gaps.shape[1], device=gaps.device) < final[:, None]
        memory = None if carried is None else carried.network
        _, states = self.network(batch.types, torch.where(earlier, gaps, 0.0), earlier, memory)
        network = NetworkMemory(batch.types[rows, final], gaps[rows, final], states)
        if self.excitation is None:
            return Carried(network, None, None, None)
        log_rate = self.excitation.log_rate.detach().clone()
        before = None if carried is None else carried.sums
        sums = self.excitation.states(gaps, batch.types, batch.mask, before)
        slopes = self.excitation.slopes(gaps, batch.mask, sums, None if carried is None else carried.slopes)
        return Carried(network, sums[rows, batch.lengths], slopes[rows, batch.lengths], log_rate)

    @torch.no_grad()
    def scale_intensity_(self, factor: Tensor, *, excitation: bool = True) -> None:
        """Multiply the intensity of each type by its `factor` (k,) > 0, in place: all that the link adds up has its unit.

        Args:
            factor: one number per type.
            excitation: False leaves the branching matrix as it is; the intensity then grows by less.
        """
        factor = factor.to(self.baseline)
        self.log_softness.add_(factor.log())
        self.baseline.mul_(factor)
        self.head.weight.mul_(factor[:, None])
        if self.excitation is None:
            self.slope.mul_(factor)
        elif excitation:
            self.excitation.branching.mul_(factor[:, None, None])

    def numbers_per_event(self) -> int:
        """Numbers that the classical part's states take per event."""
        if self.excitation is None:
            return 1
        return self.num_types * self.excitation.decays * (1 if self.excitation.shared else self.num_types)

    def rate(self, levels: Levels, elapsed: Tensor) -> Tensor:
        return self._link(self._argument(levels, self._scaled(elapsed))) / self.time_scale.to(levels.base)

    def log_rate(self, levels: Levels, elapsed: Tensor) -> Tensor:
        log_scale = self.time_scale.log().to(self.baseline)
        return log_soft_link(self._argument(levels, self._scaled(elapsed)), self.log_softness) - log_scale

    def integral(self, levels: Levels, elapsed: Tensor) -> Tensor:
        if self.excitation is None:
            beta = self.log_softness.double().exp()
            length = (elapsed / self.time_scale)[:, None]
            start, slope = torch.broadcast_tensors(levels.base.double() / beta, self.slope.double() / beta)
            return beta * softplus_line_integral(start, slope, length.expand_as(start))

        fastest = self.excitation.rate.max()
        if self.training and self.excitation.shared:
            return integrate_decaying(
                levels.base, levels.amplitude, self.excitation.rate[0, 0], self.log_softness.exp(),
                self._scaled(elapsed), nodes=TRAINING_NODES,
            )  # fmt: skip

        length = self._scaled(elapsed)
        if not self.training:
            # In float32 what is left where high terms cancel is noise to a small softness, and reaches no tolerance.
            levels = Levels(levels.base.double(), levels.amplitude.double())
            length, fastest = length.double(), fastest.double()

        def rate(rows: Tensor, after: Tensor) -> Tensor:
            return soft_link(self._argument(levels.at(rows), after), self.log_softness.to(levels.base).exp())

        if self.training:
            return fixed_rule(rate, length, fastest, nodes=TRAINING_NODES)
        return integrate(rate, length, fastest, tolerance=self.tolerance)

    def components(self, batch: EventBatch, at: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """baseline mu_k, excitation and neural term f_k(h), each (b, q, k), at `at` (b, q), left limits.

        In the m3tr form they add up to the softplus's argument: intensity = softplus(sum) / time_scale. The mufm form
        has no excitation; its slope term a_k (t - t_j) / s is counted with the baseline.
        """
        levels, elapsed = self._levels_at(batch, at)
        shape = (*at.shape, self.num_types)
        base = levels.base.view(shape)
        baseline = self.baseline.expand(shape).clone()
        rest = self._argument(levels, self._scaled(elapsed)[:, None]).view(shape) - base
        if self.excitation is None:
            return baseline + rest, torch.zeros_like(rest), base - baseline
        return baseline, rest, base - baseline

    @torch.no_grad()
    def snapshot(self, batch: EventBatch) -> Snapshot:
        batch.check_types(self.num_types)
        h, states = self._run_network(batch)
        rows = torch.arange(len(batch), device=h.device)
        excitation = None
        if self.excitation is not None:
            excitation = self.excitation.states(self._scaled(batch.gaps), batch.types, batch.mask)[rows, batch.lengths]
        time = gaps_of(batch).start[rows, batch.lengths].clone()
        memory = states if excitation is None else (*states, excitation)
        levels = self._levels(h[rows, batch.lengths], excitation)
        return Snapshot(time, levels, tuple(part.clone() for part in memory))

    @torch.no_grad()
    def advance(self, snapshot: Snapshot, at: Tensor, types: Tensor) -> Snapshot:
        gap = self._scaled(at - snapshot.time)
        if self.excitation is None:
            h, states = self.network.step(types, gap, snapshot.memory)
            return Snapshot(at, self._levels(h, None), states)
        *states, excitation = snapshot.memory
        h, states = self.network.step(types, gap, tuple(states))
        excitation = self.excitation.step(excitation, gap, types)
        return Snapshot(at, self._levels(h, excitation), (*states, excitation))

    def _scaled(self, gaps: Tensor) -> Tensor:
        return (gaps / self.time_scale).to(self.baseline)

    def _run_network(self, batch: EventBatch, memory: NetworkMemory | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        return self.network(batch.types, self._scaled(batch.gaps), batch.mask, memory)

    def _levels(self, h: Tensor, excitation: Tensor | None) -> Levels:
        base = self.baseline + self.head(h)
        if excitation is None:
            return Levels(base, base.new_zeros(*base.shape, 0))
        return Levels(base, self.excitation.amplitudes(excitation))

    def _argument(self, levels: Levels, elapsed: Tensor) -> Tensor:
        """The link's argument (g, q, k), `elapsed` (g, q) on the scaled clock after the levels' event."""
        if self.excitation is None:
            return levels.base[:, None] + self.slope * elapsed[..., None]
        return levels.base[:, None] + self.excitation.decayed(levels.amplitude, elapsed)

    def _link(self, argument: Tensor) -> Tensor:
        return soft_link(argument, self.log_softness.exp())
