"""The check that something was fitted on training items only."""

from collections.abc import Mapping, Sequence

import dagster as dg
import polars as pl

from assets.protocol.splits import items_of


def check_fitted(fitted: Mapping[str, Sequence[str]], sides: pl.DataFrame) -> dg.AssetCheckResult:
    """Check that a model was fitted on training items only.

    Args:
        fitted: Name of a part -> items it was fitted on; `types` is ignored.
        sides: The table `splits`.
    """
    training = set(items_of(sides, "train"))
    leaks = {name: sorted(set(items) - training)[:10] for name, items in fitted.items() if name != "types"}
    leaks = {name: items for name, items in leaks.items() if items}
    return dg.AssetCheckResult(passed=not leaks, metadata={"outside_training": dg.MetadataValue.json(leaks)})
