"""Result files of the evaluation: the tables of metrics, the test predictions, and a plot."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from models.metrics import bootstrap, interval
from models.png import save_png
from storage.durable import write_text, written_beside

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WRITTEN = ("evaluation.md", "evaluation.csv", "test_predictions.csv", "evaluation.png", "evaluation_by_age.png")
SHOWN = ("nMSE", "SRC", "PLCC", "MAE", "nMSE_count", "MAE_count")
FEW_ITEMS = 100  # below this, the 95 % interval of a rank correlation is wider than +/- 0.2


def evaluation_markdown(
    table: pl.DataFrame, items: pl.DataFrame, notes: list[str], *, window: str, served: Mapping[str, str]
) -> str:
    """Return the metrics as Markdown, per target: all metrics with whole windows, nMSE by age, and notes.

    The row with the lowest nMSE is bold in the first table, and the lowest nMSE of each age in the second. The notes start
    with the `cautions`, and compare the served row with the others.

    Args:
        table: One row per predictor, seed, target and age; see `assets.prediction.evaluation`.
        items: The predictions that the metrics were computed from.
        notes: Further lines below the tables.
        window: Column title for whole windows, such as "24 h".
        served: Target -> the row that is served.
    """
    lines = []
    for target, row in served.items():
        own, own_items = (frame.filter(pl.col("target_name") == target) for frame in (table, items))
        lines += [f"## {target}", ""] if len(served) > 1 else []
        lines += [*_of_target(own, own_items, row, window), ""]
    remarks = [
        *map(_bold, cautions(table, served)),
        "nMSE, SRC, PLCC and MAE on the scale of the target, *_count on raw counts; ± is a 95 % interval over seeds.",
        *notes,
    ]
    return "\n".join([*lines, *(f"- {line}" for line in remarks)])


def _of_target(table: pl.DataFrame, items: pl.DataFrame, served: str, window: str) -> list[str]:
    """Return the lines of one target."""
    whole, whole_items = (frame.filter(pl.col("age_hours").is_null()) for frame in (table, items))
    lines = ["| predictor | " + " | ".join(SHOWN) + " |", "|---|" + "---:|" * len(SHOWN)]
    order = whole["predictor"].unique(maintain_order=True).reverse()
    best = _best(whole)
    for name in order:
        rows = whole.filter(pl.col("predictor") == name)
        cells = [_label(name, rows), *(_cell(rows[metric].to_numpy()) for metric in SHOWN)]
        lines.append("| " + " | ".join(_bold(cell) if name == best else cell for cell in cells) + " |")
    lines += _by_age(table, items, order, window, served)
    remarks = [
        f"{whole_items['item'].n_unique()} test items. Forecasts are served by: {served}.",
        *_paired(whole_items, served),
    ]
    return [*lines, "", *(f"- {line}" for line in remarks)]


def _label(name: str, rows: pl.DataFrame) -> str:
    return f"{name} ({len(rows)} seed{'s' * (len(rows) > 1)})" if rows["seed"][0] is not None else name


def _bold(text: str) -> str:
    return f"**{text}**"


def _by_age(table: pl.DataFrame, items: pl.DataFrame, order: pl.Series, window: str, served: str) -> list[str]:
    """Return the table of nMSE by age, with the served row's mean error; no lines if no age is set."""
    ages = table["age_hours"].unique().drop_nulls().sort().to_list()
    if not ages:
        return []
    parts = {f"{age:g} h": pl.col("age_hours") == age for age in ages} | {window: pl.col("age_hours").is_null()}
    lines = ["", "| nMSE by age | " + " | ".join(parts) + " |", "|---|" + "---:|" * len(parts)]
    best = {title: _best(table.filter(part)) for title, part in parts.items()}
    for name in order:
        rows = table.filter(pl.col("predictor") == name)
        cells = [_label(name, rows.filter(pl.col("age_hours").is_null()))]
        for title, part in parts.items():
            values = rows.filter(part)["nMSE"].to_numpy()
            cell = _cell(values) if len(values) else "n/a"
            cells.append(_bold(cell) if name == best[title] else cell)
        lines.append("| " + " | ".join(cells) + " |")
    error = items.filter(pl.col("predictor") == served).with_columns(pl.col("predicted") - pl.col("target"))
    errors = [error.filter(part)["predicted"].mean() for part in parts.values()]
    lines.append(
        f"| mean error of {served} | " + " | ".join("n/a" if e is None else f"{e:+.2f}" for e in errors) + " |"
    )
    return lines


def baselines_ahead(table: pl.DataFrame, served: Mapping[str, str]) -> dict[str, list[str]]:
    """Return each row that is at least as good as the served one, with the metrics (nMSE, SRC) in which it is.

    Only whole windows count; seeds are averaged. A row whose metric is undefined counts as worse.

    Args:
        table: The table `evaluation`.
        served: Target -> the row that is served.

    Returns:
        Name of the row, with the target if there are several, -> metrics with both figures.
    """
    means = (
        table.filter(pl.col("age_hours").is_null())
        .group_by("target_name", "predictor", maintain_order=True)
        .agg(pl.col("nMSE", "SRC").mean())
    )
    result = {}
    for target, row in served.items():
        own = means.filter(pl.col("target_name") == target)
        if row not in own["predictor"]:  # it does not apply to whole windows
            continue
        model = own.row(by_predicate=pl.col("predictor") == row, named=True)
        for other in own.filter(pl.col("predictor") != row).iter_rows(named=True):
            ahead = ["nMSE"] * (other["nMSE"] <= model["nMSE"]) + ["SRC"] * (other["SRC"] >= model["SRC"])
            if ahead:
                name = other["predictor"] + (f" ({target})" if len(served) > 1 else "")
                result[name] = [f"{metric} ({other[metric]:.3f} against {model[metric]:.3f})" for metric in ahead]
    return result


def cautions(table: pl.DataFrame, served: Mapping[str, str]) -> list[str]:
    """Return warnings for the reader of the figures: rows as good as the served one, and too few test items.

    Args:
        table: The table `evaluation`.
        served: Target -> the row that is served.
    """
    rows = " or ".join(dict.fromkeys(served.values()))
    warnings = [
        f"{name} is at least as good as {rows}, which is served, in {' and '.join(ahead)}."
        for name, ahead in baselines_ahead(table, served).items()
    ]
    count = table["items"].max()
    if count < FEW_ITEMS:
        margin = 1.96 / math.sqrt(max(count - 3, 1))
        warnings.append(
            f"Only {count} test items: a correlation near zero is uncertain by ± {min(margin, 1):.2f} (95 %), and another "
            "split can change the order of the predictors."
        )
    return warnings


def _best(table: pl.DataFrame) -> str | None:
    """Return the predictor with the lowest finite nMSE, averaged over seeds."""
    means = table.group_by("predictor", maintain_order=True).agg(pl.col("nMSE").mean())
    finite = means.filter(pl.col("nMSE").is_finite()).sort("nMSE", maintain_order=True)
    return finite["predictor"][0] if len(finite) else None


def write_results(folder: Path, *, table: pl.DataFrame, items: pl.DataFrame, text: str, hours: float | None) -> None:
    """Write the files of `WRITTEN` into a folder.

    Args:
        folder: Folder of the results.
        table: The table `evaluation`.
        items: The predictions per test item.
        text: Contents of `evaluation.md`, below its heading.
        hours: Length of a whole window in hours; None if it differs by item.

    Raises:
        storage.durable.StoreError: A file cannot be written; the message names the file and says what to do.
    """
    write_text(folder / "evaluation.md", f"# Evaluation\n\n{text}\n")
    write_text(folder / "evaluation.csv", table.write_csv())
    write_text(folder / "test_predictions.csv", items.write_csv())
    whole = items.filter(pl.col("age_hours").is_null(), pl.col("target_name") == items["target_name"][0])
    for name, figure in (("evaluation.png", _scatter(whole)), ("evaluation_by_age.png", accuracy_by_age(table, hours))):
        with written_beside(folder / name) as scratch:
            save_png(figure, scratch, dpi=120)


def _cell(values: np.ndarray) -> str:
    if len(values) == 1:
        return _number(values[0])
    mean = interval(values)
    return f"{_number(mean.value)} ± {_number((mean.high - mean.low) / 2)}"


def _number(value: float) -> str:
    if not np.isfinite(value):
        return "n/a"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.1f}"


def _paired(items: pl.DataFrame, served: str) -> list[str]:
    """Return a line per other row: a paired bootstrap of the nMSE difference over the items, with seeds averaged."""
    averaged = items.group_by("predictor", "item", maintain_order=True).agg(
        pl.col("target").first(), pl.col("predicted").mean()
    )
    model = averaged.filter(pl.col("predictor") == served).sort("item")
    lines = []
    for name in averaged["predictor"].unique(maintain_order=True):
        if name == served or len(model) < 2:
            continue
        other = averaged.filter(pl.col("predictor") == name).sort("item")
        difference = bootstrap(
            model["target"].to_numpy(), model["predicted"].to_numpy(), other=other["predicted"].to_numpy()
        )
        lines.append(
            f"nMSE of {served} minus {name} (seeds averaged): {difference.value:+.3f}, 95 % of resampled splits in "
            f"[{difference.low:+.3f}, {difference.high:+.3f}]."
        )
    return lines


def _scatter(items: pl.DataFrame) -> Figure:
    from matplotlib.figure import Figure

    names = items["predictor"].unique(maintain_order=True).to_list()
    figure = Figure(figsize=(2.3 * len(names), 3.2), layout="constrained")
    axes = figure.subplots(1, len(names), sharex=True, sharey=True, squeeze=False)[0]
    for axis, name in zip(axes, names, strict=True):
        part = items.filter(pl.col("predictor") == name)
        axis.scatter(part["target"], part["predicted"], s=8, alpha=0.5)
        low, high = float(part["target"].min()), float(part["target"].max())
        axis.plot([low, high], [low, high], color="grey", linewidth=0.8)
        axis.set_title(name, fontsize=9)
        axis.set_xlabel("target")
    axes[0].set_ylabel("predicted")
    return figure


def accuracy_by_age(table: pl.DataFrame, hours: float | None, *, legend: str = "outside right upper") -> Figure:
    """Return a picture of the accuracy against how long one waited: nMSE by age, a panel per target, a line per row.

    Args:
        table: The table `evaluation`.
        hours: Length of a whole window in hours; None draws it after the last age.
        legend: Place of the legend, as Matplotlib names it.
    """
    from matplotlib.figure import Figure

    names = table["target_name"].unique(maintain_order=True).to_list()
    figure = Figure(figsize=(4.5 * len(names) + 2, 3.6), layout="constrained")
    ages = table["age_hours"].unique().drop_nulls().sort().to_list()
    titles = [*(f"{age:g} h" for age in ages), "whole window" if hours is None else f"{hours:g} h"]
    means = (
        table.with_columns(pl.col("age_hours").fill_null(math.inf))
        .group_by("target_name", "predictor", "age_hours", maintain_order=True)
        .agg(pl.col("nMSE").mean())
        .sort("age_hours", maintain_order=True)
    )
    for axis, target in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for (name,), part in means.filter(pl.col("target_name") == target).group_by("predictor", maintain_order=True):
            places = [[*ages, math.inf].index(age) for age in part["age_hours"]]
            axis.plot(places, part["nMSE"], marker="o", markersize=3, linewidth=1.2, label=name)
        axis.set_xticks(range(len(titles)), titles)
        axis.set_ylim(bottom=0)
        axis.set_title(target, fontsize=9)
        axis.set_xlabel("age of the video")
        axis.set_ylabel("nMSE on test items")
    figure.legend(*axis.get_legend_handles_labels(), loc=legend, fontsize=8)
    return figure
