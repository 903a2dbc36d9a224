"""Failed rows and damaged files: the check that limits failures, and lists of both for reports."""

import dagster as dg
import polars as pl

from assets.engine.skip_unchanged import stage_marks, verdict_stands
from assets.engine.store_access import open_store
from assets.settings import Settings
from storage.store import Store


def failed_share_check(asset: dg.AssetsDefinition, stage: str) -> dg.AssetChecksDefinition:
    """Return a blocking check that stops the run if too many of a stage's rows failed.

    Args:
        asset: The asset that the check belongs to.
        stage: Name of its stage in the store.
    """

    @dg.asset_check(
        asset=asset,
        name="failed_share",
        blocking=True,
        description="The share of failed rows is at most run.failure_limit.",
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
    """Return the videos with a damaged file, of which only a part could be used: `item`, `damage`."""
    frames = [pl.DataFrame(schema={"item": pl.String, "damage": pl.String})]
    for name in ("frames", "audio"):
        stage = store.stages().get(name)
        if stage is not None and "damage" in stage.payload.names:  # audio stored by earlier versions has no such column
            frames.append(pl.from_arrow(stage.read(columns=["damage"])).filter(pl.col("damage").is_not_null()))
    return pl.concat(frames)


def failures(store: Store) -> pl.DataFrame:
    """Return every failed row: `stage`, `item`, `error_type`, `error_message`."""
    columns = ("item", "error_type", "error_message")
    frames = [
        stage.states().filter(pl.col("status") == "failed").select(pl.lit(name).alias("stage"), *columns)
        for name, stage in store.stages().items()
    ]
    return (
        pl.concat(frames) if frames else pl.DataFrame(schema={"stage": pl.String, **dict.fromkeys(columns, pl.String)})
    )
