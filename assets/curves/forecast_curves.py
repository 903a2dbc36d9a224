"""Forecast curves of the items without a label: quantiles of each target's count at every horizon."""

import dagster as dg
import numpy as np
import polars as pl

from assets.curves.curve_evaluation import curve_evaluation
from assets.curves.forecast import NAME as MODEL
from assets.curves.forecast import CurveForecaster
from assets.engine.data_versions import version_of_table
from assets.engine.dry_run import stop_if_plan_is_empty
from assets.engine.kept_rows import KeptRows
from assets.engine.pools import ON_THE_DEVICE
from assets.engine.run_log import made_table
from assets.engine.skip_unchanged import artifact_marks, skip_unchanged, stage_marks, table_marks
from assets.engine.store_access import open_store
from assets.prediction.input_digests import FITS, TABLES, input_digests
from assets.prediction.predictor_inputs import samples_of
from assets.prediction.provenance import Provenance
from assets.protocol.popularity import read_popularity
from assets.settings import Settings
from models.curves import QUANTILES, Curves
from storage.fingerprint import Fingerprint
from storage.hashing import content_hash
from storage.store import Store

NAME = "forecast_curves"
CODE = 2  # raise it when the same inputs give another result
SCHEMA = {
    "item": pl.String,
    "target_name": pl.String,
    "horizon_hours": pl.Float64,
    **dict.fromkeys(QUANTILES, pl.Float64),
    "counted_so_far": pl.Float64,
    "calibrated": pl.Boolean,
    "source": pl.String,
}


@dg.asset(
    group_name="curves",
    kinds={"parquet"},
    deps=[curve_evaluation],
    description=__doc__,
    code_version=str(CODE),
    **ON_THE_DEVICE,
)
@skip_unchanged(
    NAME,
    reads=lambda store, settings: [
        *stage_marks(store),
        *table_marks(store, *TABLES),
        *artifact_marks(store, *FITS, MODEL),
    ],
    makes=lambda store, settings: table_marks(store, NAME),
)
def forecast_curves(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Forecast the curves of new uploads. No quantile lies below what was counted so far, also after the window."""
    store = open_store(settings)
    version = store.artifact(MODEL).current()
    states = [state for name in TABLES if (state := store.table(name).state()) is not None]
    frame = made_table(
        context,
        store,
        NAME,
        inputs_hash=content_hash(
            input_digests(store, "train", "predict"),
            [version.version, version.inputs_hash, version.fingerprint],
            [[state.inputs_hash, state.fingerprint] for state in states if state is not None],
        ),
        fingerprint=Fingerprint(code=CODE),
        compute=lambda: _forecast(store, settings),
        metadata=Provenance.of(store, settings, code=CODE, models={MODEL: version.version}).facts(),
    )
    stop_if_plan_is_empty()
    return dg.MaterializeResult(
        data_version=version_of_table(frame), metadata={"items": frame["item"].n_unique(), "rows": len(frame)}
    )


def _forecast(store: Store, settings: Settings) -> pl.DataFrame:
    samples = samples_of(store, settings, "predict")
    if not len(samples):
        return pl.DataFrame(schema={**SCHEMA, "t0": pl.Int64, "window_complete": pl.Boolean})
    forecaster = CurveForecaster(store, settings)
    inputs, kept = forecaster.source.inputs(samples, so_far=True), KeptRows(store, NAME)
    table = curve_table(forecaster, samples.items.tolist(), forecaster.kept_curves(inputs, kept), inputs.so_far)
    kept.keep()
    known = read_popularity(store).select("item", "t0", "window_complete")
    return table.join(known, on="item", how="left", maintain_order="left")


def curve_table(forecaster: CurveForecaster, items: list[str], curves: Curves, so_far: np.ndarray) -> pl.DataFrame:
    """Return one row per item, target and horizon that has a forecast.

    Args:
        forecaster: The forecaster.
        items: n ids.
        curves: Their curves.
        so_far: (n, T) counts so far; NaN where unknown.
    """
    names = [target.name for target in forecaster.source.rows.targets]
    row, target, horizon = np.nonzero(~np.isnan(curves.counts[..., 0]))
    values = curves.counts[row, target, horizon]
    return pl.DataFrame(
        {
            "item": np.array(items, dtype=object)[row].tolist(),
            "target_name": [names[place] for place in target],
            "horizon_hours": curves.horizons[horizon],
            **{name: values[:, place] for place, name in enumerate(QUANTILES)},
            "counted_so_far": so_far[row, target],
            "calibrated": forecaster.model.calibrated[target, horizon],
            "source": forecaster.model.sources[target, horizon].tolist(),
        },
        schema=SCHEMA,
    ).with_columns(pl.col("counted_so_far").fill_nan(None))


def read_forecast_curves(store: Store) -> pl.DataFrame:
    """Return the curves of the items without a label; see `curve_table`."""
    return store.table(NAME).read()
