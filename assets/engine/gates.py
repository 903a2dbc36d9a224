"""What an expensive stage waits for without reading it: a run that is lost stops before it decodes or encodes anything.

Dagster goes on with every step that is not downstream of the one that failed. With too few labels, say, hours of captions
would be computed for a model that can't be trained. The stages wait only; nothing of a gate is part of what their rows are
made from, so a changed label computes no frame and no caption again.
"""

from collections.abc import Iterable

import dagster as dg

WAITS = {"reelcast/waits": True}

BEHIND_LABELS = dg.AssetDep("popularity", metadata=WAITS)  # for the stages that read media files
BEHIND_SPLITS = dg.AssetDep("splits", metadata=WAITS)  # for the stages that load an encoder


def gates_of(specs: Iterable[dg.AssetSpec]) -> set[dg.AssetKey]:
    """Return the assets that these assets only wait for."""
    return {dep.asset_key for spec in specs for dep in spec.deps if dep.metadata == WAITS}
