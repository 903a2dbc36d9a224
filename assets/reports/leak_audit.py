"""The audit of leaks: how much each planted leak flatters each metric, and whether it changes the order of the models.

Done for cascades by CasTemp (arXiv 2510.25348). Every leak is planted alone, into a store of its own, and compared with the
honest run of the same models. A leak whose test items are those of the honest run is compared on the same resampled sets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from assets.prediction.evaluation import ITEMS
from assets.reports.document import Block, Grid, Heading, Items, Paragraph
from assets.reports.faults import Fault, faults
from assets.reports.protocols import PROTOCOLS, RANDOM
from assets.reports.report_files import keep_report
from assets.reports.scores import RESAMPLES, ends, runs_of_rows
from assets.reports.study import Arm, arm_stores
from assets.settings import Settings
from assets.settings.audit import STUDY
from models.metrics import METRICS
from models.resampled_metrics import ResampledMetrics

BATCHES = "metrics_over_batches"
BATCH = 64  # MMRA's published code tests in batches
LOWER_IS_BETTER = ("nMSE", "MAE")


def audit_arms(settings: Settings, *, models: Sequence[str], seeds: Sequence[int]) -> list[Arm]:
    """Return the honest arms and one arm per leak.

    Args:
        settings: Settings of the data set's own store.
        models: Names of `model.train`.
        seeds: The seeds.
    """
    planted = faults(settings)
    model = {"train": list(models), "seeds": list(seeds)}
    honest = {base: PROTOCOLS[base] for base in PROTOCOLS if any(fault.base == base for fault in planted)}
    changes = honest | {fault.name: fault.all_changes() for fault in planted}
    return [Arm(STUDY, name, {**own, "model": model}) for name, own in changes.items()]


def report_audit(settings: Settings) -> None:
    """Write the report `leak_audit` from the stores of the arms, as a table of the store, as Markdown and as HTML."""
    stores = arm_stores(settings, STUDY, table=ITEMS)
    items = {name: store.table(ITEMS).read().filter(pl.col("age_hours").is_null()) for name, store in stores.items()}
    planted = [fault for fault in faults(settings) if {fault.name, fault.base} <= items.keys()]
    frames = [flattery(fault, items[fault.base], items[fault.name]) for fault in planted]
    over_batches = Fault(BATCHES, f"Metrics are averaged over batches of {BATCH} test items.", RANDOM)
    if RANDOM in items:
        planted.append(over_batches)
        frames.append(batch_flattery(items[RANDOM]))
    table = pl.concat(frames)
    blocks: list[Block] = [
        Heading("Audit of leaks", 1),
        Paragraph(
            "Each leak is planted alone and compared with the honest run of the same models. A positive figure flatters: the "
            "metric looks better by so much than it is. Brackets hold 95 % of resampled test sets; with other test items than "
            "those of the honest run, the two sets are resampled independently. CasTemp (arXiv 2510.25348) did this for "
            "cascades."
        ),
    ]
    for (target,), own in table.group_by("target_name", maintain_order=True):
        blocks += [Heading(target), *_summary(own, planted), *(b for fault in planted for b in _of_fault(own, fault))]
    keep_report(settings, STUDY, table, blocks)


def flattery(fault: Fault, honest: pl.DataFrame, leaky: pl.DataFrame) -> pl.DataFrame:
    """Return by how much a leak flatters each metric of each row that both runs have.

    Args:
        fault: The leak.
        honest: Forecasts of the honest run with whole windows (`assets.prediction.item_forecasts`).
        leaky: Those of the run with the leak.

    Returns:
        `fault`, `target_name`, `predictor`, `metric`, `honest`, `leaky`, `flatters` (positive: the metric looks better), `low`
        and `high` (95 % of resampled test sets), `same_items` (whether both are resampled together).
    """
    rows = []
    for (target,), own in honest.group_by("target_name", maintain_order=True):
        other = leaky.filter(pl.col("target_name") == target)
        if other.is_empty():
            continue
        same = set(own["item"]) == set(other["item"])
        before = ResampledMetrics(own["item"].n_unique(), resamples=RESAMPLES)
        after = before if same else ResampledMetrics(other["item"].n_unique(), resamples=RESAMPLES, seed=1)
        runs, theirs = dict(runs_of_rows(own)), dict(runs_of_rows(other))
        for name in runs.keys() & theirs.keys():
            resampled = [_resampled(sets, one[name]) for sets, one in ((before, runs), (after, theirs))]
            for metric, function in METRICS.items():
                values = [_mean(function, one[name]) for one in (runs, theirs)]
                sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
                row = _row(fault.name, target, name, metric, *values, same=same)
                rows.append({**row, **ends("", sign * (resampled[1][metric] - resampled[0][metric]) + 0.0)})
    return pl.DataFrame(rows, schema=_schema()).sort("target_name", "predictor", "metric")


def batch_flattery(items: pl.DataFrame) -> pl.DataFrame:
    """Return by how much metrics look better if they are averaged over batches; columns as from `flattery`, no interval."""
    rows = []
    for (target,), own in items.group_by("target_name", maintain_order=True):
        for name, runs in runs_of_rows(own):
            batches = [slice(start, start + BATCH) for start in range(0, len(runs["target"]), BATCH)]
            for metric, function in METRICS.items():
                parts = [
                    _mean(function, {"target": runs["target"][part], "predicted": runs["predicted"][:, part]})
                    for part in batches
                ]
                rows.append(
                    _row(BATCHES, target, name, metric, _mean(function, runs), float(np.mean(parts)), same=True)
                )
    return pl.DataFrame(rows, schema=_schema()).sort("target_name", "predictor", "metric")


def _schema() -> dict[str, type[pl.DataType]]:
    texts = dict.fromkeys(("fault", "target_name", "predictor", "metric"), pl.String)
    return {
        **texts,
        **dict.fromkeys(("honest", "leaky", "flatters", "low", "high"), pl.Float64),
        "same_items": pl.Boolean,
    }


def _row(
    fault: str, target: str, name: str, metric: str, honest: float, leaky: float, *, same: bool
) -> dict[str, object]:
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    return {
        "fault": fault,
        "target_name": target,
        "predictor": name,
        "metric": metric,
        "honest": honest,
        "leaky": leaky,
        "flatters": sign * (leaky - honest) + 0.0,  # no negative zero
        "same_items": same,
    }


def _mean(function: object, runs: dict[str, np.ndarray]) -> float:
    return float(np.mean([function(runs["target"], run) for run in runs["predicted"]]))


def _resampled(sets: ResampledMetrics, runs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    found = [sets.metrics(runs["target"], run) for run in runs["predicted"]]
    return {metric: np.mean([one[metric] for one in found], axis=0) for metric in METRICS}


def ranking(rows: pl.DataFrame, column: str) -> list[str]:
    """Return the rows of one leak by nMSE, the best first; rows without a finite nMSE are left out.

    Args:
        rows: Rows of `flattery` for one leak and target.
        column: "honest" or "leaky".
    """
    finite = rows.filter(pl.col("metric") == "nMSE", pl.col("honest").is_finite(), pl.col("leaky").is_finite())
    return finite.sort(column, "predictor")["predictor"].to_list()


def _summary(table: pl.DataFrame, planted: Sequence[Fault]) -> Iterator[Block]:
    """Yield one table: a row per leak with the mean flattery of each metric and what becomes of the order."""
    cells = []
    for fault in planted:
        own = table.filter(pl.col("fault") == fault.name)
        means = {metric: own.filter(pl.col("metric") == metric)["flatters"].fill_nan(None).mean() for metric in METRICS}
        honest, leaky = ranking(own, "honest"), ranking(own, "leaky")
        swapped = sum(
            (honest.index(a) < honest.index(b)) != (leaky.index(a) < leaky.index(b))
            for place, a in enumerate(honest)
            for b in honest[place + 1 :]
        )
        pairs = len(honest) * (len(honest) - 1) // 2
        first = honest[0] if honest and honest[0] == leaky[0] else " -> ".join([*honest[:1], *leaky[:1]])
        cells.append(
            [
                fault.name.replace("_", " "),
                fault.base,
                *("n/a" if mean is None else f"{mean:+.3f}" for mean in means.values()),
                f"{swapped} of {pairs}",
                first,
            ]
        )
    columns = ["leak", "compared with", *METRICS, "pairs of rows that swap", "first row"]
    yield Grid(columns, cells, texts=frozenset({1, len(columns) - 1}))


def _of_fault(table: pl.DataFrame, fault: Fault) -> Iterator[Block]:
    own = table.filter(pl.col("fault") == fault.name)
    cells = []
    for name in ranking(own, "honest"):
        figures = {row["metric"]: row for row in own.filter(pl.col("predictor") == name).iter_rows(named=True)}
        cells.append([name, *(_cell(figures[metric]) for metric in METRICS)])
    yield Heading(fault.name.replace("_", " "), 3)
    yield Paragraph(fault.told)
    yield Grid(["row", *METRICS], cells)
    moved = own.filter(pl.col("metric") == "nMSE", pl.col("low") > 0)["predictor"].to_list()
    if (own["flatters"].fill_nan(0.0) == 0).all():
        yield Items(["No forecast changed: the data have nothing that this leak touches."])
    if moved:
        yield Items([f"The flattery of nMSE is beyond chance for: {', '.join(moved)}."])


def _cell(row: dict[str, float | None]) -> str:
    if not np.isfinite(row["flatters"]):
        return "n/a"
    bounds = row["low"] is not None and np.isfinite(row["low"])
    return f"{row['flatters']:+.3f}" + (f" [{row['low']:+.3f}, {row['high']:+.3f}]" if bounds else "")
