"""How the shards of the memory bank are searched: one after the other, or by the workers of the Ray cluster."""

from __future__ import annotations

from assets.engine.ray_shards import map_on_ray
from assets.settings import Settings
from storage.bank.shards import Run


def shard_map(settings: Settings) -> Run:
    """Return the `map` that runs the searches of the shards.

    On one machine it is Python's own: the search of a shard uses all cores already.

    Args:
        settings: The settings; `run.executor` decides.
    """
    return map_on_ray(settings) if settings.shards_on_ray else map
