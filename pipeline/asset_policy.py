"""What every asset has in common in Dagster's UI: an owner, tags, the place of its code, and how old it may become.

One function maps over all assets, so a new stage gets these without a line of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import dagster as dg

from assets.settings import Settings

# A night that was missed is worth a look, a week without a run is a fault. Only where the nightly schedule is on does it
# matter; a data set that is run by hand turns yellow after a day and a half.
WARN_AFTER, FAIL_AFTER = timedelta(hours=36), timedelta(days=7)
DEVICE_POOL = "gpu"
# Results that people and other programs read; everything else is a step on the way.
SERVED = frozenset({"predictions", "forecast_curves", "forecast_reasons", "leaderboard", "evaluation", "drift"})


def with_policy(assets: Sequence[dg.AssetsDefinition], settings: Settings) -> list[dg.AssetsDefinition]:
    """Return the assets with an owner, tags, references to their code, and a freshness policy.

    Args:
        assets: The assets as their files define them.
        settings: The settings; they name the owner.
    """
    return [_dressed(asset, settings) for asset in dg.with_source_code_references(assets)]


def _dressed(asset: dg.AssetsDefinition, settings: Settings) -> dg.AssetsDefinition:
    device = "yes" if asset.op.pool == DEVICE_POOL else "no"

    def dress(spec: dg.AssetSpec) -> dg.AssetSpec:
        name = spec.key.to_user_string()
        tags = {"reelcast/loads_a_model": device, "reelcast/served": "yes" if name in SERVED else "no"}
        return spec.replace_attributes(
            owners=[settings.automation.owner],
            tags={**spec.tags, **tags},
            freshness_policy=dg.FreshnessPolicy.time_window(fail_window=FAIL_AFTER, warn_window=WARN_AFTER),
        )

    return asset.map_asset_specs(dress)
