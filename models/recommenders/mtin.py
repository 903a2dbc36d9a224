"""MTIN: a user's clicks in interest groups, with several time scales per group (Jiang et al., ACM Multimedia 2020)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor, nn

from models.predictors.ranges import COUNT, NOT_NEGATIVE, SEVERAL, SHARE, Range, check_ranges
from models.recommenders.click_batch import ClickBatch, History
from models.recommenders.click_network import ClickConfig, ClickNetwork, DataSizes
from models.recommenders.click_recommender import ClickRecommender
from models.recommenders.interest_memory import interest_centres, nearest_distance
from models.recommenders.item_encoder import ItemEncoder
from models.recommenders.mtin_masks import GroupMask, TemporalMasks
from models.recommenders.mtin_matching import GroupMatching
from models.recommenders.mtin_routing import route_groups
from models.recommenders.pair_score import PairScore

Aggregation = Literal["sum", "concat", "both"]
Clock = Literal["rank", "hours"]
Mask = Literal["binary", "weighted"]
Memory = Literal["pretrained", "shared"]
Start = Literal["distance", "random"]
SAMPLED_CENTRES = 20_000  # of other users, from which a user without an exposure gets centres


@dataclass(frozen=True)
class MTINConfig(ClickConfig):
    """Hyper-parameters of MTIN.

    The paper prints d = 128, 8 masks, 4 groups on KuaiShou and 6 on MicroVideo-1.7M, and none of `rounds`, `base`,
    `threshold` and `group_threshold`.

    Attributes:
        groups: s, the number of interest groups of clicks.
        skip_groups: Number of groups of skips; None for `groups`. MTIN-I is `groups = 1`, with `skip_groups` as it was.
        rounds: Rounds of the routing.
        base: b, base of the discount's logarithm.
        threshold: epsilon in (0, 1); scores are mapped to (0, 1) first, because a discount would raise a negative score.
        route_gradient: Whether the routing is trained. False: it reads the pretrained memory and the item vectors of
            the start, and as printed no gradient reaches the matching scores. The groups stay as they began. True: it
            reads the present memory and vectors, and gradients reach the scores (straight-through); a step costs about
            twice the time.
        start: Initial weights of the matching network: "distance" lets scores fall with the distance to a group, "random"
            is the usual start.
        masks: p, the number of temporal decays.
        clock: Whether decays go by "rank" (printed) or by "hours".
        scale: Whether sums over clicks are scaled; False is the printed form.
        mask: Whether the group mask is "binary" (printed) or "weighted".
        group_threshold: tau' of the group mask; None for 1 / (2 s).
        aggregation: How r and h join the memory: their "sum", a layer over both ("concat"), or "both" added (the
            paper's best).
        memory: "pretrained": one trained memory per user, which starts at the k-means centres of the user's clicks.
            "shared": one trained memory for all, which is MTIN-P.
        product: Whether a candidate's score has the term w . (q * x_e) beside the perceptron, which is not in the paper.
    """

    hidden: int = 64
    skips: int = 100
    groups: int = 4
    skip_groups: int | None = None
    rounds: int = 3
    base: float = 2.0
    threshold: float = 0.1
    route_gradient: bool = False
    start: Start = "distance"
    masks: int = 8
    clock: Clock = "rank"
    scale: bool = True
    mask: Mask = "binary"
    group_threshold: float | None = None
    aggregation: Aggregation = "both"
    memory: Memory = "pretrained"
    product: bool = False

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        check_ranges(self, groups=COUNT, skip_groups=COUNT, rounds=COUNT, masks=COUNT, threshold=SHARE)
        check_ranges(
            self, base=Range("be above 1", lambda value: value > 1), group_threshold=NOT_NEGATIVE, width=SEVERAL
        )
        for name, allowed in (
            ("start", Start),
            ("clock", Clock),
            ("mask", Mask),
            ("aggregation", Aggregation),
            ("memory", Memory),
        ):
            if getattr(self, name) not in get_args(allowed):
                raise ValueError(f"{name} must be one of {', '.join(get_args(allowed))}, given {getattr(self, name)!r}")


class Interests(NamedTuple):
    """What one side of MTIN finds in histories.

    Attributes:
        score: (b, L, s) matching scores in (0, 1).
        group: (b, L) each exposure's group, -1 for none and for padding.
        weight: (b, s, s) weight w_{p,g} of group g for memory vector p (eq. 8).
        user: (b, d) the user's vector q (eq. 11).
    """

    score: Tensor
    group: Tensor
    weight: Tensor
    user: Tensor


class InterestSide(nn.Module):
    """The part of MTIN that reads clicks, or with parameters of its own the part that reads skips."""

    def __init__(self, config: MTINConfig, groups: int, users: int) -> None:
        """Build the layers.

        Args:
            config: The hyper-parameters.
            groups: s.
            users: Number of users with a memory.
        """
        super().__init__()
        d, self.config, self.groups = config.width, config, groups
        self.match = GroupMatching(d)
        self.temporal = TemporalMasks(d, groups, masks=config.masks, clock=config.clock, scale=config.scale)
        threshold = 1 / (2 * groups) if config.group_threshold is None else config.group_threshold
        self.group_mask = GroupMask(d, threshold=threshold, mask=config.mask)
        self.join = nn.Linear(2 * d, d) if config.aggregation != "sum" else None
        own = users if config.memory == "pretrained" else 1
        self.memory = nn.Embedding(own, groups * d, sparse=config.memory == "pretrained")
        nn.init.normal_(self.memory.weight, std=d**-0.5)
        if not config.route_gradient:
            self.register_buffer("pretrained", self.memory.weight.detach().clone())

    def forward(self, x: Tensor, routed: Tensor, history: History, user: Tensor) -> Interests:
        """Return the groups and the user's vector.

        Args:
            x: (b, L, d) vectors of the exposures, zero for padding.
            routed: (b, L, d) vectors that the routing reads: x, or those of the start.
            history: Which of them are padding, and their times.
            user: (b,) rows of the users.
        """
        config = self.config
        own = user if config.memory == "pretrained" else torch.zeros_like(user)
        c = self.memory(own).view(len(x), self.groups, -1)
        with torch.set_grad_enabled(torch.is_grad_enabled() and config.route_gradient):
            score = self.match(routed, c if config.route_gradient else self.pretrained[own].view_as(c)).sigmoid()
        group, discount = self.route(score, history)
        if config.route_gradient:
            chosen = score.gather(2, group.clamp(min=0).unsqueeze(2)).squeeze(2) / discount
            x = x * (1 + chosen - chosen.detach()).unsqueeze(-1)
        r = self.temporal(x, group, history)
        h = self.group_mask(c, r)
        updated = c
        if config.aggregation != "concat":
            updated = updated + r + h
        if self.join is not None:
            updated = updated + self.join(torch.cat([r, h], -1))
        return Interests(score, group, self.group_mask.weights(c, r), updated.sum(1))

    def route(self, score: Tensor, history: History) -> tuple[Tensor, Tensor]:
        """Return each exposure's group (b, L) and discount (b, L); see `route_groups`. The routing runs on the CPU."""
        config = self.config
        group, discount = route_groups(
            score.detach().double().cpu().numpy(),
            history.mask.sum(1).cpu().numpy(),
            rounds=config.rounds,
            base=config.base,
            threshold=config.threshold,
        )
        return torch.from_numpy(group).to(score.device), torch.from_numpy(discount).to(score)

    def start_memory(self, user: int, vectors: np.ndarray, seed: int) -> np.ndarray:
        """Set a user's own memory to the centres of the user's vectors (n, d), and return the memory's vectors (s, d)."""
        if self.config.memory == "shared":
            return self.memory.weight[0].view(self.groups, -1).cpu().numpy()
        centres = interest_centres(vectors, self.groups, seed=seed)
        self.memory.weight[user] = torch.from_numpy(centres.ravel()).to(self.memory.weight)
        return centres

    def start_unknown(self, known: np.ndarray, seed: int) -> None:
        """Set the own memories of users that are not `known` (U,) to the centres of the other users' memories."""
        if self.config.memory == "shared" or known.all() or not known.any():
            return
        rows = self.memory.weight[torch.from_numpy(known)].view(-1, self.config.width).cpu().numpy()
        sample = np.random.default_rng(seed).permutation(len(rows))[:SAMPLED_CENTRES]
        centres = interest_centres(rows[sample], self.groups, seed=seed)
        self.memory.weight[torch.from_numpy(~known)] = torch.from_numpy(centres.ravel()).to(self.memory.weight)


class MTINNetwork(ClickNetwork):
    """score(u, e) = a P(x_e | clicks) + b P(x_e | skips), and sigmoid(score) is the probability of a click (eq. 12).

    P is a two-layer perceptron of the user's vector q and the candidate's vector (section 4.4); each side has
    parameters of its own. a starts at 1 and b at -1. The memory that the groups update lives for one forward pass: a
    memory that grew from batch to batch would carry later clicks into earlier scores.
    """

    config_class = MTINConfig
    reads_training_histories = True

    def __init__(self, config: MTINConfig, sizes: DataSizes) -> None:
        """Build the network."""
        super().__init__(config, sizes)
        d = config.width
        ids = sizes.items if config.ids else 0
        self.items = ItemEncoder(sizes.content, d, items=ids)
        self.start_items = None  # the item vectors of the start
        if not config.route_gradient:
            self.start_items = ItemEncoder(sizes.content, d, items=ids).requires_grad_(False)
        skip_groups = config.groups if config.skip_groups is None else config.skip_groups
        self.sides = nn.ModuleDict(
            {
                "clicked": InterestSide(config, config.groups, sizes.users),
                "skipped": InterestSide(config, skip_groups, sizes.users),
            }
        )
        self.scores = nn.ModuleDict(
            {name: PairScore(d, d, config.hidden, product=config.product) for name in self.sides}
        )
        self.balance = nn.Parameter(torch.tensor([1.0, -1.0]))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, batch: ClickBatch) -> Tensor:
        """Return the scores of the candidates, (b, c)."""
        x = self.dropout(self.items(batch))
        routed = x if self.start_items is None else self.start_items(batch)
        parts = []
        for name, side in self.sides.items():
            history: History = getattr(batch, name)
            user = side(history.gather(x), history.gather(routed), history, batch.user).user
            parts.append(self.scores[name](user, x, batch.candidate))
        return torch.stack(parts, -1) @ self.balance

    def interests(self, batch: ClickBatch, *, side: Literal["clicked", "skipped"] = "clicked") -> Interests:
        """Return what one side finds in the histories of a batch."""
        history, x = getattr(batch, side), self.items(batch)
        routed = x if self.start_items is None else self.start_items(batch)
        return self.sides[side](history.gather(x), history.gather(routed), history, batch.user)

    @torch.no_grad()
    def start(self, users: Iterable[ClickBatch], seed: int) -> None:
        """Set each user's memory to the k-means centres of the user's exposures, and the matching network to distances.

        Users without an exposure get the centres of all users' centres. A shared memory keeps its random start.
        """
        known = {name: np.zeros(self.sizes.users, bool) for name in self.sides}
        distances: dict[str, list[np.ndarray]] = {name: [np.zeros(0)] for name in self.sides}
        if self.start_items is not None:
            self.start_items.load_state_dict(self.items.state_dict())
        for batch in users:
            x = self.items(batch)
            for name, side in self.sides.items():
                history: History = getattr(batch, name)
                vectors, mask = history.gather(x).cpu().numpy(), history.mask.cpu().numpy()
                for row in np.flatnonzero(mask.any(1)):
                    user, own = int(batch.user[row]), vectors[row][mask[row]]
                    known[name][user] = True
                    distances[name].append(nearest_distance(own, side.start_memory(user, own, seed)))
        for name, side in self.sides.items():
            side.start_unknown(known[name], seed)
            if not self.config.route_gradient:
                side.pretrained.copy_(side.memory.weight)
            if self.config.start == "distance" and known[name].any():
                side.match.start_as_distance(float(np.median(np.concatenate(distances[name]))))

    @torch.no_grad()
    def summary(self, users: Iterable[ClickBatch]) -> dict[str, float]:
        """Return the shares of the users' latest training clicks and skips that belong to no group."""
        counts = {name: np.zeros(2) for name in self.sides}
        for batch in users:
            for name in self.sides:
                mask = getattr(batch, name).mask
                filtered = (self.interests(batch, side=name).group < 0) & mask
                counts[name] += [filtered.sum().item(), mask.sum().item()]
        return {f"filtered_{name}": float(lost / max(total, 1)) for name, (lost, total) in counts.items()}


class MTIN(ClickRecommender):
    """The recommender around `MTINNetwork`."""

    title = "MTIN"
    code = 1
    network_class = MTINNetwork
