"""Failed and damaged rows: the check that limits them, and the lists that a person reads."""

import dagster as dg
import polars as pl

from assets.engine.skip_unchanged import stage_marks, verdict_stands
from assets.engine.store_access import open_store
from assets.settings import Settings
from storage.store import Store


def failed_share_check(asset: dg.AssetsDefinition, stage: str) -> dg.AssetChecksDefinition:
    """A blocking check that too many failed rows stop the run before later stages build on the rest."""

    @dg.asset_check(
        asset=asset, name="failed_share", blocking=True, description="Share of failed rows is within run.failure_limit."
    )
    @verdict_stands(f"{stage}_failed_share", reads=lambda store, settings: stage_marks(store, stage))
    def failed_share(settings: Settings) -> dg.AssetCheckResult:
        states = open_store(settings).stages()[stage].states()
        failed = states.filter(pl.col("status") == "failed")
        share = len(failed) / max(len(states), 1)
        reasons = failed["error_type"].value_counts(sort=True)
        return dg.AssetCheckResult(
            passed=share <= settings.run.failure_limit,
            metadata={
                "failed": len(failed),
                "share": share,
                "limit": settings.run.failure_limit,
                "reasons": dg.MetadataValue.json(dict(reasons.iter_rows())),
            },
        )

    return failed_share


def damages(store: Store) -> pl.DataFrame:
    """Return the videos whose file is damaged, so that only a part of it was used: `item`, `damage`."""
    frames = [pl.DataFrame(schema={"item": pl.String, "damage": pl.String})]
    for name in ("frames", "audio"):
        stage = store.stages().get(name)
        if stage is not None and "damage" in stage.payload.names:  # audio of earlier versions has no such column
            frames.append(pl.from_arrow(stage.read(columns=["damage"])).filter(pl.col("damage").is_not_null()))
    return pl.concat(frames)


def failures(store: Store) -> pl.DataFrame:
    """Every failed row: `stage`, `item`, `error_type`, `error_message`."""
    columns = ("item", "error_type", "error_message")
    frames = [
        stage.states().filter(pl.col("status") == "failed").select(pl.lit(name).alias("stage"), *columns)
        for name, stage in store.stages().items()
    ]
    return (
        pl.concat(frames) if frames else pl.DataFrame(schema={"stage": pl.String, **dict.fromkeys(columns, pl.String)})
    )
