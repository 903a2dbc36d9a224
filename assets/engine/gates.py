"""Gates: assets that an expensive stage waits for without reading them, so that a doomed run stops early.

If a step fails, Dagster continues with every step that is not downstream of it. With too few labels, for example, it would
compute hours of captions for a model that can't be trained. A gate is no input of the stage's rows: a changed label computes
no frame or caption again.
"""

from collections.abc import Iterable

import dagster as dg

WAITS = {"reelcast/waits": True}

BEHIND_LABELS = dg.AssetDep("popularity", metadata=WAITS)  # for the stages that read media files
BEHIND_SPLITS = dg.AssetDep("splits", metadata=WAITS)  # for the stages that load an encoder


def gates_of(specs: Iterable[dg.AssetSpec]) -> set[dg.AssetKey]:
    """Return the keys of the assets that these assets wait for without reading them."""
    return {dep.asset_key for spec in specs for dep in spec.deps if dep.metadata == WAITS}
