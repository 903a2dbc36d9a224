"""What every asset has in common in Dagster's UI: an owner, tags, the place of its code, and how old it may become.

One function maps over all assets, so a new stage gets these without a line of its own.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence
from datetime import timedelta

import dagster as dg

from assets.settings import Settings

WARN_AFTER, FAIL_AFTER = timedelta(hours=36), timedelta(days=7)  # a night was missed; something is wrong
DEVICE_POOL = "gpu"
# Results that people and other programs read. Everything else is a step on the way.
SERVED = frozenset({"predictions", "forecast_curves", "forecast_reasons", "leaderboard", "evaluation", "drift"})


def with_policy(assets: Sequence[dg.AssetsDefinition], settings: Settings) -> list[dg.AssetsDefinition]:
    """Return the assets with an owner, tags, a reference to their code, and a freshness policy.

    Args:
        assets: The assets as their files define them.
        settings: The settings; they name the owner.
    """
    return [_with_policy(asset, settings) for asset in assets]


def _with_policy(asset: dg.AssetsDefinition, settings: Settings) -> dg.AssetsDefinition:
    loads_model = "yes" if asset.op.pool == DEVICE_POOL else "no"
    code = _code_of(asset)

    def change(spec: dg.AssetSpec) -> dg.AssetSpec:
        is_served = "yes" if spec.key.to_user_string() in SERVED else "no"
        return spec.replace_attributes(
            owners=[settings.automation.owner],
            tags={**spec.tags, "reelcast/loads_a_model": loads_model, "reelcast/served": is_served},
            metadata={**spec.metadata, "dagster/code_references": code},
            freshness_policy=dg.FreshnessPolicy.time_window(fail_window=FAIL_AFTER, warn_window=WARN_AFTER),
        )

    return asset.map_asset_specs(change)


def _code_of(asset: dg.AssetsDefinition) -> dg.CodeReferencesMetadataValue:
    """Return where an asset's own function is, below the decorators that all assets share."""
    function = inspect.unwrap(asset.op.compute_fn.decorated_fn)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        place = dg.LocalFileCodeReference(
            file_path=inspect.getsourcefile(function), line_number=inspect.getsourcelines(function)[1]
        )
        return dg.CodeReferencesMetadataValue(code_references=[place])
