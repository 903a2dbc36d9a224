"""The evaluation's tables for a terminal: at most 80 columns, sorted by nMSE, the best row in bold."""

from __future__ import annotations

import math

import polars as pl
from rich.table import Table
from rich.text import Text

from models.metrics import interval

METRICS = ("nMSE", "SRC", "PLCC", "MAE")


def evaluation_tables(table: pl.DataFrame) -> list[Table]:
    """Return two tables per target: all metrics with whole windows, and nMSE by age if ages were evaluated.

    Args:
        table: The table `evaluation`: `target_name`, `predictor`, `seed`, `age_hours` and one column per metric.
    """
    tables = []
    several = table["target_name"].n_unique() > 1
    for (target,), own in table.group_by("target_name", maintain_order=True):
        prefix = f"{target}: " if several else ""
        whole = own.filter(pl.col("age_hours").is_null())
        names = _by_error(whole)
        tables.append(_grid(prefix + "row", names, {metric: (whole, metric) for metric in METRICS}, best_of="nMSE"))
        ages = own["age_hours"].drop_nulls().unique().sort().to_list()
        if ages:
            columns = {f"{age:g} h": (own.filter(pl.col("age_hours") == age), "nMSE") for age in ages}
            tables.append(
                _grid(prefix + "nMSE by age", names, columns | {"whole window": (whole, "nMSE")}, best_of=None)
            )
    return tables


def result_rows(table: pl.DataFrame) -> list[dict[str, object]]:
    """Return the evaluation as plain rows, seeds averaged, sorted by target, age and nMSE; an undefined metric is None."""
    means = (
        table.group_by("target_name", "age_hours", "predictor", maintain_order=True)
        .agg(pl.col("seed").drop_nulls().len().alias("seeds"), pl.col("items").max(), pl.col(METRICS).mean())
        .with_columns(pl.col(METRICS).fill_nan(None))
        .sort("target_name", "age_hours", "nMSE", nulls_last=True, maintain_order=True)
    )
    return means.to_dicts()


def _by_error(whole: pl.DataFrame) -> list[str]:
    means = whole.group_by("predictor", maintain_order=True).agg(pl.col("nMSE").mean())
    return means.sort(pl.col("nMSE").fill_nan(math.inf), maintain_order=True)["predictor"].to_list()


def _grid(title: str, names: list[str], columns: dict[str, tuple[pl.DataFrame, str]], *, best_of: str | None) -> Table:
    """Return a table with one line per predictor.

    Args:
        title: Title of the first column.
        names: The predictors, in order.
        columns: Title -> rows of the evaluation, and the metric to show of them.
        best_of: The column whose lowest row is bold as a whole; None: the lowest cell of each column is bold.
    """
    grid = Table(box=None, pad_edge=False, padding=(0, 1))
    grid.add_column(title, overflow="fold", max_width=30)
    values = {name: {column: _values(*source, name) for column, source in columns.items()} for name in names}
    for column in columns:
        grid.add_column(column, justify="right", no_wrap=True)
    best = {column: min(names, key=lambda name: _mean(values[name][best_of or column])) for column in columns}
    for name in names:
        row_is_best = best_of is not None and name == best[best_of]
        seeds = max(len(found) for found in values[name].values())
        cells = [Text(f"{name} ({seeds})" if seeds > 1 else name, style="bold" if row_is_best else "")]
        cells += [Text(_cell(values[name][column]), style="bold" if name == best[column] else "") for column in columns]
        grid.add_row(*cells)
    return grid


def _values(table: pl.DataFrame, metric: str, name: str) -> list[float]:
    return table.filter(pl.col("predictor") == name)[metric].to_list()


def _mean(values: list[float]) -> float:
    mean = sum(values) / len(values) if values else math.inf
    return mean if math.isfinite(mean) else math.inf


def _cell(values: list[float]) -> str:
    """Return a mean; with several seeds also half the width of its 95 % interval, as in `assets.prediction.results`."""
    if not values or not math.isfinite(_mean(values)):
        return "n/a"
    if len(values) == 1:
        return f"{values[0]:.3f}"
    mean = interval(pl.Series(values).to_numpy())
    return f"{mean.value:.3f} ± {(mean.high - mean.low) / 2:.3f}"
