"""MTIN's masks: of the clicks in a group by their order in time (eq. 5-7), and of the groups (eq. 8-10)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from models.recommenders.click_batch import History
from models.recommenders.decayed_sums import decayed_sums

SLOWEST, FASTEST = 0.01, 2.0  # decay coefficients at the start, per click


class TemporalMasks(nn.Module):
    """Vector of each group from its clicks in the order of time, with p decays side by side.

        Q^k_ij = x_i' W^k_g x_j,    P^k_ij = exp(-(i - j) w_k) for i > j, else 0         (5, 6)
        r^k_g = sum_i sum_j P^k_ij Q^k_ij x_j,    r_g = MLP([r^1_g, ..., r^p_g])          (7)

    i and j count the clicks within their group. The sums are computed as r^k_g = sum_j (z_j' W^k_g x_j) x_j with
    z_j = sum_i P^k_ij x_i, so that no product of two clicks is formed per matrix W. The coefficients w_k are the
    softplus of parameters and start on a geometric grid.

    With `scale`, Q is divided by sqrt(d), r^k_g by the group's number of clicks, and the p vectors are normalised before the
    perceptron: as printed, r^k_g grows with the square of the number of clicks and the cube of |x|. A group of one click is
    MLP(0) as printed, and a group without a click has a learned vector.
    """

    def __init__(self, width: int, groups: int, *, masks: int = 8, clock: str = "rank", scale: bool = True) -> None:
        """Build the layers.

        Args:
            width: d, the width of the clicks.
            groups: s.
            masks: p, the number of decays.
            clock: "rank", the printed form, decays per click; "hours" decays with the time between clicks, in units of the
                user's median gap.
            scale: Whether sums are scaled, see above.
        """
        super().__init__()
        self.clock, self.scale, self.masks, self.groups = clock, scale, masks, groups
        self.bilinear = nn.Parameter(torch.randn(groups, masks, width, width) / width)
        start = torch.linspace(0, 1, masks) * torch.tensor(FASTEST / SLOWEST).log() + torch.tensor(SLOWEST).log()
        self.decay = nn.Parameter(torch.expm1(start.exp()).log())  # the inverse of softplus
        self.norm = nn.LayerNorm(masks * width) if scale else nn.Identity()
        self.mix = nn.Sequential(nn.Linear(masks * width, width), nn.ReLU(), nn.Linear(width, width))
        self.empty = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor, group: Tensor, history: History) -> Tensor:
        """Return the vectors r of the groups, (b, s, d).

        Args:
            x: (b, L, d) clicks in the order of time.
            group: (b, L) each click's group, -1 for none and for padding.
            history: Times of the clicks, and which of them are padding.
        """
        numbers = torch.arange(self.groups, device=group.device)
        member = (group.unsqueeze(1) == numbers[:, None]).to(x.dtype)  # (b, s, L)
        z = self._decayed(x, group, history)  # (b, L, p, d)
        q = self._bilinear(z, x, group)  # (b, L, p)
        sums = (member.unsqueeze(2) * q.permute(0, 2, 1).unsqueeze(1)).flatten(1, 2) @ x  # (b, s p, d)
        size = member.sum(-1)  # (b, s)
        sums = sums.unflatten(1, (self.groups, self.masks)).flatten(2)
        if self.scale:
            sums = sums / torch.clamp(size, min=1).unsqueeze(-1) / x.shape[-1] ** 0.5
        r = self.mix(self.norm(sums))
        return torch.where((size > 0).unsqueeze(-1), r, self.empty)

    def _decayed(self, x: Tensor, group: Tensor, history: History) -> Tensor:
        """Return z_j = sum_i P_ij x_i per decay, (b, L, p, d)."""
        following = next_of_group(group, self.groups)
        gap = torch.ones_like(x[..., 0])
        if self.clock == "hours":
            gap = ((history.age - history.age.gather(1, following.clamp(min=0))) / median_gap(history)).to(x.dtype)
        return decayed_sums(x, following, gap, nn.functional.softplus(self.decay))

    def _bilinear(self, z: Tensor, x: Tensor, group: Tensor) -> Tensor:
        """Return z_j' W^k_g x_j of each click's own group, (b, L, p), zero for clicks without a group."""
        (b, length, p, d), flat = z.shape, group.reshape(-1)
        order = torch.argsort(flat, stable=True)
        counts = torch.bincount(flat + 1, minlength=self.groups + 1).tolist()
        z, x = z.reshape(-1, p, d)[order], x.reshape(-1, d)[order]
        parts = [z.new_zeros(counts[0], p)]
        for g, (part_z, part_x) in enumerate(zip(z.split(counts)[1:], x.split(counts)[1:], strict=True)):
            # (n, d) x (d, p d): W^k x for all decays at once
            turned = part_x @ self.bilinear[g].permute(2, 0, 1).reshape(d, p * d)
            parts.append((part_z * turned.view(-1, p, d)).sum(-1))
        inverse = torch.empty_like(order)
        inverse[order] = torch.arange(len(order), device=order.device)
        return torch.cat(parts)[inverse].view(b, length, p)


def next_of_group(group: Tensor, groups: int) -> Tensor:
    """Return the place of the next member of each click's group, (b, L); -1 for none and for clicks without a group.

    Example:
        >>> next_of_group(torch.tensor([[0, 1, -1, 0]]), 2).tolist()
        [[3, -1, -1, -1]]
    """
    length = group.shape[1]
    place = torch.arange(length, device=group.device).expand_as(group)
    following = torch.full_like(group, -1)
    for g in range(groups):
        member = group == g
        # the smallest member's place at or after each place, then shifted by one
        ahead = torch.where(member, place, length).flip(1).cummin(1).values.flip(1)[:, 1:]
        ahead = torch.nn.functional.pad(ahead, (0, 1), value=length)
        following = torch.where(member & (ahead < length), ahead, following)
    return following


def median_gap(history: History) -> Tensor:
    """Return each user's median time between successive clicks in hours, (b, 1), at least a minute; 1 without a gap."""
    gaps = torch.where(history.mask[:, 1:], history.age[:, :-1] - history.age[:, 1:], torch.nan)
    if not gaps.shape[1]:
        return torch.ones_like(history.age)
    return torch.nan_to_num(gaps.nanmedian(1, keepdim=True).values, nan=1.0).clamp(min=1 / 60)


class GroupMask(nn.Module):
    """Vectors of the groups that count for each vector of the memory.

        w_{p,g} = softmax_g(c_p' W_h r_g),    w^_{p,g} = 1 if w_{p,g} > tau' else 0,    h_p = sum_g w^_{p,g} r_g    (8-10)

    Eq. 9 is an indicator, which gives W_h no gradient and is undefined at w = tau'. "binary" is the printed value with the
    gradient of w (straight-through). "weighted" takes h_p = sum_g w^ w r_g / sum_g w^ w. h_p = 0 where all groups are
    masked.
    """

    def __init__(self, width: int, *, threshold: float, mask: Literal["binary", "weighted"]) -> None:
        """Build the layer.

        Args:
            width: d.
            threshold: tau'. The paper prints no value.
            mask: "binary" or "weighted", see above.
        """
        super().__init__()
        self.metric = nn.Parameter(torch.randn(width, width) / width)  # W_h
        self.threshold, self.mask = threshold, mask

    def weights(self, c: Tensor, r: Tensor) -> Tensor:
        """Return w (b, s, s) of memory vectors c (b, s, d) and groups r (b, s, d)."""
        return (c @ self.metric @ r.transpose(1, 2)).softmax(-1)

    def forward(self, c: Tensor, r: Tensor) -> Tensor:
        """Return h (b, s, d)."""
        w = self.weights(c, r)
        kept = (w > self.threshold).to(w.dtype)
        if self.mask == "weighted":
            share = kept * w
            return (share @ r) / torch.clamp(share.sum(-1, keepdim=True), min=torch.finfo(w.dtype).tiny)
        return (kept + w - w.detach()) @ r
