"""Scores of the forecast curves on the test items, at every age and horizon, beside the baselines."""

import dagster as dg
import numpy as np
import polars as pl

from assets.curves.curve_baselines import CurveBaselines
from assets.curves.curve_evaluation_picture import draw_curves
from assets.curves.curve_model import curve_model
from assets.curves.curve_scores import ITEMS, OURS, SCHEMA, SCORES, curve_summary
from assets.curves.forecast import NAME as MODEL
from assets.curves.forecast import CurveForecaster
from assets.engine.data_versions import version_of_table
from assets.engine.dry_run import stop_if_plan_is_empty
from assets.engine.kept_rows import KeptRows
from assets.engine.plots import picture
from assets.engine.pools import ON_THE_DEVICE
from assets.engine.run_log import made_table
from assets.engine.shown_tables import table_of
from assets.engine.skip_unchanged import artifact_marks, skip_unchanged, stage_marks, table_marks
from assets.engine.store_access import open_store
from assets.prediction.evaluation import ITEMS as EVALUATED
from assets.prediction.evaluation import evaluation
from assets.prediction.input_digests import FITS, TABLES, input_digests
from assets.prediction.predictor_inputs import samples_by_age
from assets.prediction.validation import NAME as VALIDATION
from assets.prediction.validation import read_validation
from assets.settings import Settings
from assets.settings.target import horizon_name
from models.curves import LEVELS, QUANTILES
from models.curves.scores import INTERVALS, coverage_by_decile, curve_scores, share_interval
from models.png import save_png
from storage.durable import write_text, written_beside
from storage.file_marks import files_mark
from storage.fingerprint import Fingerprint
from storage.hashing import content_hash
from storage.store import Store

NAME = "curve_evaluation"
CODE = 2  # raise it when the same inputs give another result
SHOWN = ["target_name", "age_hours", "horizon_hours", "items", "crps", "coverage_80", "coverage_50"]
FILES = ("curves.md", "curves.png")
FEWEST = 10  # test items, below which a horizon is not scored


@dg.asset(
    group_name="curves",
    kinds={"parquet"},
    deps=[curve_model, evaluation],
    description=__doc__,
    code_version=str(CODE),
    **ON_THE_DEVICE,
)
@skip_unchanged(
    NAME,
    reads=lambda store, settings: [
        *stage_marks(store),
        *table_marks(store, *TABLES, VALIDATION, EVALUATED),
        *artifact_marks(store, *FITS, MODEL),
    ],
    makes=lambda store, settings: [
        *table_marks(store, SCORES, ITEMS),
        files_mark(settings.results_folder() / file for file in FILES),
    ],
)
def curve_evaluation(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Forecast the test items' curves as they were at every age, and compare coverage and CRPS with the baselines.

    A horizon is scored at ages before it, where at least `FEWEST` test items were followed so long.
    """
    store = open_store(settings)
    made = {
        "inputs_hash": _made_from(store),
        "fingerprint": Fingerprint(
            code=CODE, parameters={"ages": settings.protocol.ages, "classical": settings.curves.classical}
        ),
    }
    frames: list[pl.DataFrame] = []

    def items() -> pl.DataFrame:
        frames.extend(_forecast(store, settings))
        return frames[0]

    own = made_table(context, store, ITEMS, **made, compute=items)
    table = made_table(context, store, SCORES, **made, compute=lambda: frames[1])
    stop_if_plan_is_empty()
    text, figure, folder = scores_markdown(table), draw_curves(own, table.filter(row=OURS)), settings.results_folder()
    write_text(folder / FILES[0], f"# Forecast curves\n\n{text}\n")
    with written_beside(folder / FILES[1]) as scratch:
        save_png(figure, scratch, dpi=110)
    for line in curve_summary(table):
        context.log.info("curve_evaluation: %s", line)
    return dg.MaterializeResult(
        data_version=version_of_table(table),
        metadata={
            **_numbers(table),
            "scores": table_of(table.filter(row=OURS).select(SHOWN)),
            "curves": picture(figure),
            "results": str(folder),
        },
    )


def _numbers(table: pl.DataFrame) -> dict[str, float]:
    """Return the curve's mean coverage and CRPS over ages and horizons, per target, to be followed over the runs."""
    means = (
        table.filter(row=OURS).group_by("target_name", maintain_order=True).agg(pl.col("coverage_80", "crps").mean())
    )
    return {
        f"{name} of {target}": value
        for target, coverage, crps in means.iter_rows()
        for name, value in (("coverage of the 80 % interval", coverage), ("CRPS", crps))
    }


def _made_from(store: Store) -> str:
    version = store.artifact(MODEL).current()
    names = (*TABLES, VALIDATION, EVALUATED)
    states = [state for name in names if (state := store.table(name).state()) is not None]
    return content_hash(
        input_digests(store, "train", "val", "test"),
        [version.version, version.inputs_hash, version.fingerprint],
        [[state.inputs_hash, state.fingerprint] for state in states if state is not None],
    )


def _forecast(store: Store, settings: Settings) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the curves of the test items at every age, and the scores of all rows."""
    forecaster = CurveForecaster(store, settings)
    baselines = CurveBaselines(forecaster, read_validation(store), store.table(EVALUATED).read())
    names = [target.name for target in forecaster.source.rows.targets]
    horizons, items, scores, kept = forecaster.source.horizons, [], [], KeptRows(store, ITEMS)
    tested = samples_by_age(store, settings, "test", forecaster.source.rows.ages)
    every = forecaster.source.inputs(tested.samples)
    known = forecaster.source.counts(every.items.tolist()).count
    for age, rows_of_age in tested.rows.items():
        samples, inputs = tested.at(age), every.take(rows_of_age)
        own = forecaster.kept_curves(inputs, kept).counts
        rows = [(OURS, own), *baselines.curves(samples, inputs, age=age)]
        observed = known[rows_of_age]
        later = horizons > inputs.age[:, None]
        for target, horizon in np.ndindex(observed.shape[1:]):
            key = {"target_name": names[target], "age_hours": age, "horizon_hours": float(horizons[horizon])}
            part = own[:, target, horizon]
            forecast = ~np.isnan(part[:, 0])
            items.append(_items(samples.items[forecast], part[forecast], observed[forecast, target, horizon], key))
            scored = later[:, horizon] & ~np.isnan(observed[:, target, horizon])
            for row, quantiles in rows:
                values, counts = quantiles[scored, target, horizon], observed[scored, target, horizon]
                if len(values) >= FEWEST and not np.isnan(values).any():
                    deciles = coverage_by_decile(values, LEVELS, counts)
                    scores.append(
                        {
                            "row": row,
                            **key,
                            "items": len(values),
                            **curve_scores(values, LEVELS, counts),
                            "coverage_80_deciles": deciles,
                        }
                    )
    kept.keep()
    return pl.concat(items), pl.DataFrame(scores, schema=SCHEMA)


def _items(items: np.ndarray, quantiles: np.ndarray, observed: np.ndarray, key: dict[str, object]) -> pl.DataFrame:
    columns = {name: quantiles[:, place] for place, name in enumerate(QUANTILES)}
    return (
        pl.DataFrame({"item": items, **columns, "observed": observed})
        .with_columns(
            pl.lit(value, pl.Float64 if name != "target_name" else pl.String).alias(name) for name, value in key.items()
        )
        .with_columns(pl.col("observed").fill_nan(None))
    )


def scores_markdown(table: pl.DataFrame) -> str:
    """Return the scores as Markdown: CRPS of every row, and coverage of the curve's intervals, by age and horizon.

    Args:
        table: The table `curve_scores`.
    """
    rows = table["row"].unique(maintain_order=True).to_list()
    lines = []
    for (target,), own in table.group_by("target_name", maintain_order=True):
        lines += [f"## {target}", "", "CRPS on log2(1 + count):", ""]
        lines += ["| age | horizon | items | " + " | ".join(rows) + " |", "|---|---|---:|" + "---:|" * len(rows)]
        for (age, horizon), part in own.group_by("age_hours", "horizon_hours", maintain_order=True):
            scores = dict(part.select("row", "crps").iter_rows())
            best = min(scores.values())
            cells = [_cell(scores.get(row), best) for row in rows]
            lines.append(f"| {_age(age)} | {horizon_name(horizon)} | {part['items'][0]} | " + " | ".join(cells) + " |")
        lines += ["", "Coverage of the curve's intervals in %, with the 95 % interval of chance at 80 %:", ""]
        names = [f"{name} %" for name in INTERVALS]
        lines += [
            "| age | horizon | " + " | ".join(names) + " | by chance | deciles, 80 % |",
            "|---|---|" + "---:|" * 5,
        ]
        for score in own.filter(pl.col("row") == OURS).iter_rows(named=True):
            low, high = share_interval(0.8, score["items"])
            shares = [f"{100 * score[f'coverage_{name}']:.1f}" for name in INTERVALS]
            deciles = score["coverage_80_deciles"]
            lines.append(
                f"| {_age(score['age_hours'])} | {horizon_name(score['horizon_hours'])} | {' | '.join(shares)} | "
                f"{100 * low:.0f} to {100 * high:.0f} | {100 * min(deciles):.0f} to {100 * max(deciles):.0f} |"
            )
        lines.append("")
    return "\n".join(lines)


def _age(age: float | None) -> str:
    return "whole window" if age is None else f"{age:g} h"


def _cell(score: float | None, best: float) -> str:
    if score is None:
        return "n/a"
    return f"**{score:.3f}**" if score == best else f"{score:.3f}"


@dg.asset_check(asset=curve_evaluation)
def curves_cover_what_they_say(settings: Settings) -> dg.AssetCheckResult:
    """The 80 % intervals cover 80 % of the test items at every age and horizon, up to chance; else a warning."""
    return check_coverage(open_store(settings).table(SCORES).read())


def check_coverage(table: pl.DataFrame) -> dg.AssetCheckResult:
    """Compare the coverage of the curve's intervals with their level.

    Args:
        table: The table `curve_scores`.
    """
    off = {}
    for score in table.filter(pl.col("row") == OURS).iter_rows(named=True):
        for name in INTERVALS:
            covered = score[f"coverage_{name}"]
            low, high = share_interval(covered, score["items"])
            if not low <= name / 100 <= high:
                place = f"{score['target_name']}, {_age(score['age_hours'])}, {horizon_name(score['horizon_hours'])}"
                off[f"{place}: {name} %"] = round(100 * covered, 1)
    return dg.AssetCheckResult(
        passed=not off, severity=dg.AssetCheckSeverity.WARN, metadata={"covered_percent": dg.MetadataValue.json(off)}
    )
