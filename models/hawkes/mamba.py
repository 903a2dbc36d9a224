"""The Mamba-Hawkes process: its intensity depends on a selective state space (M3TR eq. 1; MUFM eq. 46)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from models.events import EventBatch
from models.hawkes.carried_history import Carried
from models.hawkes.compensator import fixed_rule, integrate, integrate_decaying, softplus_line_integral
from models.hawkes.excitation import Excitation
from models.hawkes.history import gaps_of
from models.hawkes.link import log_soft_link, soft_link
from models.hawkes.network import MambaNetwork, NetworkMemory
from models.hawkes.process import Levels, Snapshot
from models.hawkes.row_source import RowSource
from models.scan import DISCRETIZATIONS

INTENSITIES = ("m3tr", "mufm")
TRAINING_NODES = 8  # quadrature nodes per gap during training
OWN_DECAYS = 16  # with more types than this, all pairs share their decay rates by default


class MambaHawkesProcess(RowSource):
    """A point process whose intensity depends on the state h of a Mamba network (M3TR eq. 1, MUFM eq. 46).

    The state h is that after the last event strictly before t, so it is constant between events. With t_j the time of that
    event in the second formula, the intensity of type k is:

        m3tr  softplus(mu_k + sum_m sum_r sum_{t_j < t} alpha_kmr exp(-delta_kmr (t - t_j) / s) + f_k(h)) / s
        mufm  softplus(a_k (t - t_j) / s + w_k h + b_k) / s

    Here softplus(v) = beta_k log(1 + exp(v / beta_k)). The terms act additively where the intensity is well above
    beta_k / s, and multiplicatively below. M3TR's eq. 1 has beta = 1, which ties beta to the unit of time; here each type
    has its own beta.

    The process works on the scaled clock t / s, where s is `time_scale`. Intensities and likelihoods are in the unit of
    the event times. If the unit of the times and s change together, every probability stays the same.

    Attributes:
        num_types: Number k of event types.
        form: "m3tr" or "mufm".
        time_scale: s, a float64 buffer in the unit of the event times. It is 1 before `fit`, which gives the papers'
            formulas; `fit` sets it to the mean gap.
        initialised: Whether the process has been fitted. `fit` then continues from its parameters.
        baseline: mu (k,) in m3tr, b (k,) in mufm.
        slope: a (k,); only in mufm.
        log_softness: log beta (k,).
        network: The Mamba network that computes h.
        head: The linear map from h to f (m3tr) or w h (mufm).
        excitation: The classical part; None for mufm.
        tolerance: Relative tolerance of each gap's integral outside training.

    Example:
        >>> import torch
        >>> from models.events import EventBatch
        >>> from models.hawkes import MambaHawkesProcess
        >>> process = MambaHawkesProcess(2, hidden=8, state=4).eval()
        >>> batch = EventBatch.from_sequences([[1.0, 2.5]], [[0, 1]], t_end=[4.0])
        >>> process.intensity(batch, torch.tensor([[0.5, 3.0, 10.0]])).shape  # (b, q, k)
        torch.Size([1, 3, 2])
        >>> process.compensator(batch).shape
        torch.Size([1, 2])
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
        """Create a process with random network weights.

        Args:
            num_types: Number k of event types, at least 1.
            intensity: "m3tr" (default) has a classical part and a network; "mufm" has a network and a slope per type.
            hidden: Width of the network.
            state: States per channel.
            layers: Number of Mamba layers.
            decays: Exponentials per pair of types (m3tr).
            shared_decays: Whether all pairs have the same decay rates (m3tr). None shares them from 17 types on, because
                otherwise memory and time grow with the square of the number of types.
            input_rule: How an event enters the state: "impulse" (default), "euler" or "zoh" (the papers'); see
                `models.scan`.
            log_gaps: Whether an event's embedding includes the logarithm of the gap before it.
            count_scales: Number of time scales at which the running counts of each type enter the embedding; 0 for none.
            clock_periods: Number of periods at which the time since t_start enters the embedding; 0 for none.
            dropout: Dropout rate in the network during training.
            softness: beta_k before the fit, relative to the type's mean intensity. The fit of m3tr can start from a lower
                value, derived from the fitted classical process. None fixes beta = 1 on the scaled clock, which is M3TR's
                eq. 1 as written.
            learn_softness: Whether the fit learns beta.
            tolerance: Relative tolerance of each gap's integral outside training (m3tr). A smaller value costs more
                evaluations of the intensity. mufm's integral is in closed form.

        Raises:
            ValueError: If an argument is outside its range or not one of the allowed names.
        """
        super().__init__()
        if intensity not in INTENSITIES:
            raise ValueError(f"intensity {intensity!r}; allowed: {', '.join(INTENSITIES)}")
        if input_rule not in DISCRETIZATIONS:
            raise ValueError(f"input_rule {input_rule!r}; allowed: {', '.join(DISCRETIZATIONS)}")
        if softness is not None and softness <= 0:
            raise ValueError(f"softness must be positive, or None for beta = 1; given {softness}")
        if min(num_types, hidden, state, layers, decays) < 1 or min(count_scales, clock_periods) < 0:
            raise ValueError(
                "num_types, hidden, state, layers and decays must be at least 1, "
                "count_scales and clock_periods at least 0; given "
                f"{num_types}, {hidden}, {state}, {layers}, {decays}, {count_scales}, {clock_periods}"
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
        nn.init.normal_(self.head.weight, std=0.02)  # the network starts as a small correction
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
        """Return the arguments of the constructor; `shared_decays` is resolved to a bool."""
        return dict(self._config)

    @property
    def rising(self) -> bool:
        """Whether a type's intensity can grow between events: in mufm, if a slope is positive."""
        return self.excitation is None and bool((self.slope > 0).any())

    def branching_matrix(self) -> Tensor:
        """Return the branching matrix (k, k) of the classical part; zeros for mufm.

        The slope of softplus is at most 1, so the matrix is an upper bound on what the excitation adds.
        """
        if self.excitation is None:
            return torch.zeros(self.num_types, self.num_types, dtype=torch.float64)
        return self.excitation.influence()

    def hidden_states(self, batch: EventBatch) -> Tensor:
        """Return h (b, l + 1, hidden): before the first event, and after every event."""
        return self._run_network(batch)[0]

    def hidden_and_levels(self, batch: EventBatch) -> tuple[Tensor, Levels]:
        """Return h at every position, as `hidden_states` does, and the levels there."""
        h = self.hidden_states(batch)
        return h, self.levels(batch, h)

    def encode(self, batch: EventBatch, carried: Carried | None = None) -> Levels:
        """Return the levels at every position.

        Args:
            batch: b sequences, padded to l events.
            carried: The history before t_start if the batch continues longer sequences; None if it does not.

        Returns:
            Levels with base (b, l + 1, k) and amplitude (b, l + 1, k, j).
        """
        h, _ = self._run_network(batch, None if carried is None else carried.network)
        return self.levels(batch, h, carried)

    def levels(self, batch: EventBatch, h: Tensor, carried: Carried | None = None) -> Levels:
        """Return the levels at every position, given the network's states.

        Args:
            batch: b sequences, padded to l events.
            h: (b, l + 1, hidden), as `hidden_states` returns it.
            carried: The history before t_start; see `encode`.

        Returns:
            Levels with base (b, l + 1, k) and amplitude (b, l + 1, k, j).
        """
        if self.excitation is None:
            return self._levels(h, None)
        before = None
        if carried is not None:  # first order in the rates' change since `carry`, so that the rates get a gradient
            before = carried.sums + carried.slopes * (self.excitation.log_rate - carried.log_rate)
        return self._levels(h, self.excitation.states(self._scaled(batch.gaps), batch.types, batch.mask, before))

    @torch.no_grad()
    def carry(self, batch: EventBatch, carried: Carried | None = None) -> Carried:
        """Return the history just after each sequence's last event, for a batch of the events that follow.

        Args:
            batch: b sequences; none may be empty.
            carried: The history before t_start; see `encode`.

        Returns:
            The histories, one per sequence, without gradients.
        """
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
        """Multiply the intensity of each type by a factor, in place.

        This scales the softness and every term of the link's argument, which all have the unit of the intensity.

        Args:
            factor: (k,), positive.
            excitation: Whether to scale the branching matrix too. If False, the intensity changes by less than `factor`.
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
        """Return how many numbers the classical part's state holds per event; 1 without a classical part."""
        if self.excitation is None:
            return 1
        return self.num_types * self.excitation.decays * (1 if self.excitation.shared else self.num_types)

    def rate(self, levels: Levels, elapsed: Tensor) -> Tensor:
        """Return the intensity (g, q, k) at `elapsed` (g, q) after the event of each of g levels."""
        return self._link(self._argument(levels, self._scaled(elapsed))) / self.time_scale.to(levels.base)

    def log_rate(self, levels: Levels, elapsed: Tensor) -> Tensor:
        """Return the logarithm of `rate`, accurate also where the rate itself underflows."""
        log_scale = self.time_scale.log().to(self.baseline)
        return log_soft_link(self._argument(levels, self._scaled(elapsed)), self.log_softness) - log_scale

    def integral(self, levels: Levels, elapsed: Tensor) -> Tensor:
        """Return the integral (g, k) of `rate` over [0, elapsed]; `elapsed` is (g,).

        In mufm it is in closed form. In m3tr it is adaptive to `tolerance`, and a fixed rule of eight nodes per gap while
        the process is in training mode.
        """
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
            # In float32, rounding errors of large terms that cancel are not small beside the softness; no tolerance is met.
            levels = Levels(levels.base.double(), levels.amplitude.double())
            length, fastest = length.double(), fastest.double()

        def rate(rows: Tensor, after: Tensor) -> Tensor:
            return soft_link(self._argument(levels.at(rows), after), self.log_softness.to(levels.base).exp())

        if self.training:
            return fixed_rule(rate, length, fastest, nodes=TRAINING_NODES)
        return integrate(rate, length, fastest, tolerance=self.tolerance)

    def components(self, batch: EventBatch, at: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the three terms of the link's argument, as left limits at the given times.

        Their sum is the argument: intensity = softplus(sum) / time_scale. The mufm form has no excitation; its slope
        term a_k (t - t_j) / s is part of the baseline.

        Args:
            batch: b sequences.
            at: (b, q), times at or after t_start.

        Returns:
            Baseline mu_k, excitation, and neural term f_k(h), each (b, q, k).
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
        """Return the history of each sequence just after its last event."""
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
        """Return the history after one more event of type `types` (b,) at time `at` (b,)."""
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
        """Return the link's argument (g, q, k) at `elapsed` (g, q), scaled, after the event of each of g levels."""
        if self.excitation is None:
            return levels.base[:, None] + self.slope * elapsed[..., None]
        return levels.base[:, None] + self.excitation.decayed(levels.amplitude, elapsed)

    def _link(self, argument: Tensor) -> Tensor:
        return soft_link(argument, self.log_softness.exp())
