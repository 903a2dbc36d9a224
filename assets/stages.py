"""What the assets share: the store they open, the hash of what they read, the check on their failed rows."""

import hashlib
from collections.abc import Iterable, Mapping

import dagster as dg
import polars as pl

from assets.settings import Settings
from storage.stage import Stage
from storage.store import Store


def open_store(settings: Settings) -> Store:
    """The store that the settings name.

    Raises:
        storage.store.StoreError: the folder cannot be written, or the disk is fuller than `store.min_free_mb` allows.
    """
    store = Store(settings.store_folder())
    store.check(min_free=settings.store.min_free_mb * 2**20)
    return store


def frame_hash(frame: pl.DataFrame) -> str:
    """Digest of a frame's values, column names and row order."""
    digest = hashlib.sha256(repr(frame.schema).encode())
    digest.update(frame.hash_rows(seed=0).to_numpy().tobytes())
    return digest.hexdigest()


def outputs(stage: Stage) -> dict[str, str]:
    """What a later stage builds on: the hash of each item's row, in stored order. Failed items are not among them."""
    states = stage.states().filter(pl.col("status") != "failed")
    return {
        item: digest or status for item, digest, status in states.select("item", "output_hash", "status").iter_rows()
    }


def combined(*hashes: Mapping[str, str] | str, items: Iterable[str]) -> dict[str, str]:
    """Input hash of each item from several upstream ones: by item, or one that all share."""
    made = {}
    for item in items:
        parts = [part if isinstance(part, str) else part.get(item, "") for part in hashes]
        made[item] = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return made


def failed_share_check(asset: dg.AssetsDefinition, stage: str) -> dg.AssetChecksDefinition:
    """A blocking check that too many failed rows stop the run before later stages build on the rest."""

    @dg.asset_check(
        asset=asset, name="failed_share", blocking=True, description="Share of failed rows is within run.failure_limit."
    )
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
    """Videos that were sampled up to where their file is damaged: `item`, `damage`."""
    frame = pl.from_arrow(store.stages()["frames"].read(columns=["damage"]))
    return frame.filter(pl.col("damage").is_not_null())


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
