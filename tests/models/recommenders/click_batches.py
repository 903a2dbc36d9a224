"""Random click batches for the tests of click models."""

from __future__ import annotations

from dataclasses import replace

import torch

from models.recommenders.click_batch import ClickBatch, History
from models.recommenders.click_network import ClickNetwork, DataSizes

SIZES = DataSizes(users=5, items=30, content=3, categories=4)


def random_history(lengths: list[int], items: int, generator: torch.Generator) -> History:
    """Histories of given lengths, with ages that fall in time."""
    longest = max(1, *lengths)
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    index = torch.randint(items, mask.shape, generator=generator) * mask
    age = 90 * torch.rand(mask.shape, generator=generator).double().sort(1, descending=True).values * mask
    return History(index, mask, age)


def random_batch(seed: int = 0, *, candidates: int = 3) -> ClickBatch:
    """Four users: many clicks, one click, none, some; and of the 12 items one without content."""
    g = torch.Generator().manual_seed(seed)
    content = torch.randn(12, SIZES.content, generator=g).double()
    content[3] = torch.nan
    mask = torch.ones(4, candidates, dtype=torch.bool)
    mask[1, -1] = False
    return ClickBatch(
        user=torch.tensor([3, 0, 4, 1]),
        item=torch.randperm(SIZES.items, generator=g)[:12],
        content=content,
        category=torch.randint(SIZES.categories, (12,), generator=g),
        clicked=random_history([9, 1, 0, 5], 12, g),
        skipped=random_history([4, 0, 7, 2], 12, g),
        candidate=torch.randint(12, (4, candidates), generator=g),
        mask=mask,
        label=(torch.rand(4, candidates, generator=g) < 0.5).double(),
    )


def with_padding(batch: ClickBatch, extra: int) -> ClickBatch:
    """The same batch with more padding in its histories."""

    def pad(history: History) -> History:
        return History(*(torch.nn.functional.pad(part, (0, extra)) for part in history))

    return replace(batch, clicked=pad(batch.clicked), skipped=pad(batch.skipped))


def with_random_weights(network: ClickNetwork, seed: int = 0) -> ClickNetwork:
    """The network in float64 with weights of ordinary size, in evaluation mode."""
    g = torch.Generator().manual_seed(seed)
    network = network.double().eval()
    with torch.no_grad():
        for name, value in network.state_dict().items():
            noise = torch.randn(value.shape, generator=g, dtype=torch.float64)
            value.copy_(noise.abs() + 0.5 if name.endswith("scale") else 0.4 * noise)
    return network
