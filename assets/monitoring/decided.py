"""How early a forecast is precise enough: per test video the first age from which its interval stays narrow."""

import math

import dagster as dg
import polars as pl

from assets.curves.curve_evaluation import curve_evaluation
from assets.curves.curve_scores import ITEMS
from assets.engine.data_versions import version_of_table
from assets.engine.dry_run import stop_if_plan_is_empty
from assets.engine.pools import IN_THE_CATALOG
from assets.engine.run_log import keep_table
from assets.engine.skip_unchanged import skip_unchanged, table_marks
from assets.engine.store_access import open_store
from assets.monitoring.decided_ages import SHARES, decided_ages, decided_shares, describe_shares
from assets.settings import Settings
from assets.settings.target import parse_target
from storage.fingerprint import Fingerprint

NAME = "decided"
CODE = 1  # raise it when the same inputs give another result


@dg.asset(
    group_name="monitoring",
    kinds={"parquet"},
    deps=[curve_evaluation],
    description=__doc__,
    code_version=str(CODE),
    **IN_THE_CATALOG,
)
@skip_unchanged(
    NAME,
    reads=lambda store, settings: table_marks(store, ITEMS),
    makes=lambda store, settings: table_marks(store, NAME, SHARES),
)
def decided(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Find the first age from which the 80 % interval of the target's count stays within `monitoring.decided_ratio`."""
    store, ratio = open_store(settings), settings.monitoring.decided_ratio
    curves = store.table(ITEMS).read()
    names = curves["target_name"].unique(maintain_order=True)
    ends = [parse_target(name).hours or math.inf for name in names]  # the end of the data is infinitely far
    horizons = pl.DataFrame(
        {"target_name": names, "horizon_hours": ends}, schema_overrides={"horizon_hours": pl.Float64}
    )
    own = curves.join(horizons, on=["target_name", "horizon_hours"], how="semi", maintain_order="left")
    table = decided_ages(own, ratio=ratio)
    shares = decided_shares(table, own)
    fingerprint = Fingerprint(code=CODE)
    keep_table(context, store, NAME, table, fingerprint)
    keep_table(context, store, SHARES, shares, fingerprint)
    stop_if_plan_is_empty()
    for line in describe_shares(shares, ratio=ratio):
        context.log.info("decided: %s", line)
    return dg.MaterializeResult(
        data_version=version_of_table(table),
        metadata={
            "items": table["item"].n_unique(),
            **{f"share_{name}": share for name, share in _numbers(shares).items()},
            **({} if (covered := table["coverage_80"].mean()) is None else {"decided_coverage_80": covered}),
            "shares": dg.MetadataValue.md("\n".join(f"- {line}" for line in describe_shares(shares, ratio=ratio))),
        },
    )


def _numbers(shares: pl.DataFrame) -> dict[str, float]:
    """Return the shares of the primary target by age, to be followed over the nights."""
    if shares.is_empty():
        return {}
    first = shares.filter(pl.col("target_name") == shares["target_name"].first())
    return {age.replace(" ", "_"): share for age, share in first.select("age", "share").iter_rows()}
