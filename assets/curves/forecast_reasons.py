"""Why each forecast is what it is: what its parts, its neighbours and its columns contribute, and one sentence per forecast.

For the items of `predictions` with the highest forecasts (`curves.explained`), and for some test items, whose labels are known.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import torch

from assets.curves.served_reasons import served_reasons
from assets.engine.data_versions import version_of_table
from assets.engine.dry_run import stop_if_plan_is_empty
from assets.engine.pools import ON_THE_DEVICE
from assets.engine.run_log import made_table
from assets.engine.shown_tables import table_of
from assets.engine.skip_unchanged import artifact_marks, skip_unchanged, stage_marks, table_marks, verdict_stands
from assets.engine.store_access import open_store
from assets.feedback.hawkes_process import fitted_process, load_encoder
from assets.prediction.all_forecasts import all_forecasts
from assets.prediction.counted import counted_so_far
from assets.prediction.forecast_rows import ForecastRows, made_from
from assets.prediction.input_digests import FITS, TABLES
from assets.prediction.model_obstacles import NAME as OBSTACLES
from assets.prediction.predictions import predictions, read_predictions
from assets.prediction.predictor_inputs import samples_of, split_items
from assets.prediction.served_row import ranked_rows
from assets.prediction.trained_models import artifact_names
from assets.prediction.tuned_options import tuned_names
from assets.prediction.validation import NAME as VALIDATION
from assets.prediction.validation import WEIGHTS, read_validation
from assets.settings import Settings
from models.hawkes import ExponentialHawkes, MambaHawkesProcess
from models.predictors import Samples
from models.reasons.intensity_terms import intensity_terms
from models.reasons.reasons import Reasons
from models.reasons.sentence import sentence
from storage.fingerprint import Fingerprint
from storage.store import Store

NAME = "forecast_reasons"
SENTENCES = "forecast_sentences"
CODE = 1  # raise it when the same inputs give another result
TESTED = 16  # test items; more would take longer than a person reads
TOLERANCE = 1e-4  # of a sum of reasons, on the target's scale; a network's float32 changes with the minibatch
SCHEMA = {
    "item": pl.String,
    "target_name": pl.String,
    "kind": pl.String,
    "name": pl.String,
    "contribution": pl.Float64,
    "share": pl.Float64,
}


@dg.asset(
    group_name="curves",
    kinds={"parquet"},
    deps=[predictions],
    description=__doc__,
    code_version=str(CODE),
    **ON_THE_DEVICE,
)
@skip_unchanged(
    NAME,
    reads=lambda store, settings: [
        *stage_marks(store),
        *table_marks(store, *TABLES, OBSTACLES, VALIDATION, WEIGHTS),
        *artifact_marks(store, *FITS, *artifact_names(settings), *tuned_names(settings)),
    ],
    makes=lambda store, settings: table_marks(store, NAME, SENTENCES),
)
def forecast_reasons(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Take the served forecasts apart (docs/reasons.md).

    `forecast_reasons` has one row per forecast and reason. Kinds: `base`, `part` and `remainder`, which sum to the forecast;
    `neighbour` and `column`, which say more about a part; and `process`, the terms of the intensity of the target's events at
    the moment of the forecast, inside the link, in events per hour. `forecast_sentences` has one row per forecast.
    """
    store = open_store(settings)
    ranked = ranked_rows(read_validation(store), serve=settings.model.serve)
    parameters = {
        "target": settings.protocol.target,
        "ages": settings.protocol.ages,
        "train": settings.model.train,
        "served": ranked,
        "explained": settings.curves.explained,
    }
    fingerprint = Fingerprint(code=CODE, parameters=parameters)
    inputs_hash = made_from(store, settings, "train", "val", "test", "predict")
    made: dict[str, pl.DataFrame] = {}

    def compute(name: str) -> pl.DataFrame:
        if not made:
            made.update(_reasons(store, settings))
        return made[name]

    frame, sentences = (
        made_table(
            context,
            store,
            name,
            inputs_hash=inputs_hash,
            fingerprint=fingerprint,
            compute=lambda name=name: compute(name),
        )
        for name in (NAME, SENTENCES)
    )
    stop_if_plan_is_empty()
    shown = sentences.sort("predicted", descending=True).head(10)
    mean = frame.filter(pl.col("kind").is_in(["part", "remainder"])).group_by("name").agg(pl.col("share").sum())
    shares = mean.with_columns(pl.col("share") / len(sentences)).sort("share", descending=True)
    return dg.MaterializeResult(
        data_version=version_of_table(frame),
        metadata={
            "forecasts": len(sentences),
            "mean_share": dg.MetadataValue.json({name: round(share, 3) for name, share in shares.iter_rows()}),
            "sentences": table_of(shown.select("item", "predicted", "sentence"), longest=400),
        },
    )


def _reasons(store: Store, settings: Settings) -> dict[str, pl.DataFrame]:
    rows, reasons, sentences = ForecastRows(store, settings), [], []
    for split in ("predict", "test"):
        if split == "predict":
            chosen = explained_items(read_predictions(store), settings.curves.explained)
        else:
            chosen = _evenly(split_items(store, split))
        samples, floor = samples_of(store, settings, split, items=chosen), None
        if split == "predict":
            items = samples.items.tolist()
            floor = counted_so_far(rows.events, rows.counters, rows.popularity, rows.targets, items=items)
        if len(samples):
            explained, served = served_reasons(rows, samples, all_forecasts(rows, samples, floor=floor))
            reasons += [*_rows(rows, samples, explained), *_process_rows(rows, samples)]
            sentences += _sentences(rows, samples, explained, served)
    schema = {"item": pl.String, "target_name": pl.String, "model": pl.String, "predicted": pl.Float64}
    return {
        NAME: pl.DataFrame(reasons, schema=SCHEMA, orient="row"),
        SENTENCES: pl.DataFrame(sentences, schema={**schema, "base": pl.Float64, "sentence": pl.String}, orient="row"),
    }


def _evenly(items: list[str]) -> list[str]:
    """Return `TESTED` of the items, evenly chosen, or all if there are not more."""
    if len(items) <= TESTED:
        return items
    return [items[place] for place in np.linspace(0, len(items) - 1, TESTED).round().astype(np.int64)]


def explained_items(forecasts: pl.DataFrame, most: int) -> list[str]:
    """Return the items whose forecasts are given reasons: those with the highest forecasts of the first target.

    Args:
        forecasts: The table `predictions`, the first target first.
        most: Their highest number.
    """
    first = forecasts.filter(pl.col("target_name") == pl.col("target_name").first())
    return first.sort("predicted", "item", descending=[True, False], nulls_last=True)["item"].head(most).to_list()


def _rows(rows: ForecastRows, samples: Samples, reasons: Reasons) -> Iterator[tuple[Any, ...]]:
    """Yield a row per reason that is not 0, in the order of `SCHEMA`; a base always has one."""
    near = samples.neighbourhood
    for row, item in enumerate(samples.items.tolist()):
        for column, target in enumerate(rows.targets):
            one = reasons.at(row, column)
            total = float(one.total) or 1.0
            yield item, target.name, "base", "base", float(one.base), None
            named = [("part", name, value) for name, value in one.parts.items()]
            named.append(("remainder", "remainder", one.remainder))
            for rank in near.mask[row].nonzero()[0]:
                named.append(("neighbour", str(rows.bank.items[near.index[row, rank]]), one.neighbours[rank]))
            named += [("column", name, value) for name, value in one.columns.items()]
            for kind, name, contribution in named:
                if contribution:
                    yield item, target.name, kind, name, float(contribution), abs(float(contribution)) / total


def _process_rows(rows: ForecastRows, samples: Samples) -> Iterator[tuple[Any, ...]]:
    """Yield the terms of the process's intensity, for targets that count events of a type which the process knows."""
    version, fitted = fitted_process(rows.store)
    encoder, types = load_encoder(version), fitted["types"]
    if encoder is None or not isinstance(encoder.process, ExponentialHawkes | MambaHawkesProcess):
        return
    known = [target for target in rows.targets if target.source == "events" and target.metric in types]
    seen = samples.feedback.take(torch.arange(len(samples))).observed
    terms = intensity_terms(encoder.process.eval(), seen, seen.t_end[:, None])
    names = ["baseline", *(f"after {name}" for name in types), "correction"]
    for target in known:
        kind = types.index(target.metric)
        inside, shares = terms.stacked[:, 0, kind].tolist(), terms.shares[:, 0, kind].tolist()
        for item, values, parts in zip(samples.items.tolist(), inside, shares, strict=True):
            for name, value, share in zip(names, values, parts, strict=True):
                yield item, target.name, "process", name, value, share


def _sentences(rows: ForecastRows, samples: Samples, reasons: Reasons, served: np.ndarray) -> list[tuple[Any, ...]]:
    return [
        (
            item,
            target.name,
            served[row, column],
            float(reasons.forecast[row, column]),
            float(reasons.base[row, column]),
            sentence(reasons, row=row, target=column),
        )
        for row, item in enumerate(samples.items.tolist())
        for column, target in enumerate(rows.targets)
    ]


def read_reasons(store: Store) -> pl.DataFrame:
    """Return the table `forecast_reasons`."""
    return store.table(NAME).read()


def read_sentences(store: Store) -> pl.DataFrame:
    """Return one row per explained forecast: `item`, `target_name`, `model`, `predicted`, `base`, `sentence`."""
    return store.table(SENTENCES).read()


@dg.asset_check(asset=forecast_reasons)
@verdict_stands("reasons_sum_to_the_predictions", reads=lambda store, settings: table_marks(store, NAME, "predictions"))
def reasons_sum_to_the_predictions(settings: Settings) -> dg.AssetCheckResult:
    """Base, parts and remainder of every explained item of `predictions` sum to its forecast (docs/reasons.md)."""
    store = open_store(settings)
    forecasts = read_predictions(store)
    explained = explained_items(forecasts, settings.curves.explained)
    return check_sums(read_reasons(store), forecasts.filter(pl.col("item").is_in(explained)))


def check_sums(reasons: pl.DataFrame, forecasts: pl.DataFrame) -> dg.AssetCheckResult:
    """Compare the sums of the reasons with the forecasts.

    Args:
        reasons: The table `forecast_reasons`.
        forecasts: The explained items' rows of the table `predictions`.
    """
    keys = ["item", "target_name"]
    sums = (
        reasons.filter(pl.col("kind").is_in(["base", "part", "remainder"]))
        .group_by(keys)
        .agg(pl.col("contribution").sum())
    )
    both = forecasts.select(*keys, "predicted").join(sums, on=keys, how="left", maintain_order="left")
    off = (pl.col("contribution") - pl.col("predicted")).abs()
    wrong = both.filter((off > TOLERANCE).fill_null(True))["item"].unique(maintain_order=True).to_list()
    return dg.AssetCheckResult(
        passed=not wrong, metadata={"forecasts": len(both), "problems": dg.MetadataValue.json(wrong[:10])}
    )
