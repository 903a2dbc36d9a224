"""What a person reads at the end of a run: the table of metrics, the predictions, the pictures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from models.metrics import bootstrap, interval
from storage.durable import write_text, written_beside

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MODEL = "M3TR"
SHOWN = ("nMSE", "SRC", "PLCC", "MAE", "nMSE_count", "MAE_count")
FEW_ITEMS = 100  # below this, the 95 % interval of a rank correlation is wider than +/- 0.2


def evaluation_markdown(table: pl.DataFrame, items: pl.DataFrame, notes: list[str]) -> str:
    """Return the metrics as a Markdown table with notes below it.

    Args:
        table: one row per predictor and seed, with its metrics.
        items: every forecast of every test item.
        notes: lines to add to the notes.

    Returns:
        One table row per predictor: its mean over the seeds, with a 95 % interval where there are several. The row with
        the lowest nMSE is bold. `cautions` come first among the notes.
    """
    lines = ["| predictor | " + " | ".join(SHOWN) + " |", "|---|" + "---:|" * len(SHOWN)]
    best = _best(table)
    for name in table["predictor"].unique(maintain_order=True).reverse():
        rows = table.filter(pl.col("predictor") == name)
        label = f"{name} ({len(rows)} seed{'s' * (len(rows) > 1)})" if rows["seed"][0] is not None else name
        cells = [label, *(_cell(rows[metric].to_numpy()) for metric in SHOWN)]
        lines.append("| " + " | ".join(f"**{cell}**" if name == best else cell for cell in cells) + " |")
    said = [
        *(f"**{caution}**" for caution in cautions(table)),
        f"{items['item'].n_unique()} test items; nMSE, SRC, PLCC and MAE on the scale of the target, *_count on raw counts; "
        "± is a 95 % interval over seeds.",
        *_paired(items),
        *notes,
    ]
    return "\n".join([*lines, "", *(f"- {line}" for line in said)])


def baselines_ahead(table: pl.DataFrame) -> dict[str, list[str]]:
    """Return each baseline that is not behind M3TR, with the metrics (nMSE, SRC) in which it is ahead or equal.

    Seeds are averaged. A baseline whose metric is undefined is behind.
    """
    means = table.group_by("predictor", maintain_order=True).agg(pl.col("nMSE", "SRC").mean())
    model = means.row(by_predicate=pl.col("predictor") == MODEL, named=True)
    found = {}
    for row in means.filter(pl.col("predictor") != MODEL).iter_rows(named=True):
        ahead = ["nMSE"] * (row["nMSE"] <= model["nMSE"]) + ["SRC"] * (row["SRC"] >= model["SRC"])
        if ahead:
            found[row["predictor"]] = [f"{metric} ({row[metric]:.3f} against {model[metric]:.3f})" for metric in ahead]
    return found


def cautions(table: pl.DataFrame) -> list[str]:
    """Return what a reader must know before using the figures: baselines ahead of M3TR, and too few test items."""
    found = [
        f"{name} is at least as good as {MODEL} in {' and '.join(ahead)}."
        for name, ahead in baselines_ahead(table).items()
    ]
    count = table["items"].max()
    if count < FEW_ITEMS:
        margin = 1.96 / math.sqrt(max(count - 3, 1))
        found.append(
            f"Only {count} test items: a correlation near zero is uncertain by ± {min(margin, 1):.2f} (95 %), and another "
            "split can change the order of the predictors."
        )
    return found


def _best(table: pl.DataFrame) -> str | None:
    """The predictor with the lowest finite nMSE, seeds averaged."""
    means = table.group_by("predictor", maintain_order=True).agg(pl.col("nMSE").mean())
    finite = means.filter(pl.col("nMSE").is_finite()).sort("nMSE", maintain_order=True)
    return finite["predictor"][0] if len(finite) else None


def write_results(folder: Path, *, table: pl.DataFrame, items: pl.DataFrame, text: str) -> None:
    """Write `evaluation.md`, `evaluation.csv`, `test_predictions.csv` and `evaluation.png` into the folder.

    Raises:
        storage.durable.StoreError: a file cannot be written; it names the file and says what to do.
    """
    write_text(folder / "evaluation.md", f"# Evaluation\n\n{text}\n")
    write_text(folder / "evaluation.csv", table.write_csv())
    write_text(folder / "test_predictions.csv", items.write_csv())
    with written_beside(folder / "evaluation.png") as scratch:
        _scatter(items).savefig(scratch, dpi=120, format="png")


def _cell(values: np.ndarray) -> str:
    if len(values) == 1:
        return _number(values[0])
    found = interval(values)
    return f"{_number(found.value)} ± {_number((found.high - found.low) / 2)}"


def _number(value: float) -> str:
    if not np.isfinite(value):
        return "n/a"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.1f}"


def _paired(items: pl.DataFrame) -> list[str]:
    """How sure the split is of the differences: paired bootstrap over the items, the model's seeds averaged."""
    averaged = items.group_by("predictor", "item", maintain_order=True).agg(
        pl.col("target").first(), pl.col("predicted").mean()
    )
    model = averaged.filter(pl.col("predictor") == MODEL).sort("item")
    said = []
    for name in averaged["predictor"].unique(maintain_order=True):
        if name == MODEL or len(model) < 2:
            continue
        other = averaged.filter(pl.col("predictor") == name).sort("item")
        found = bootstrap(
            model["target"].to_numpy(), model["predicted"].to_numpy(), other=other["predicted"].to_numpy()
        )
        said.append(
            f"nMSE of {MODEL} (seeds averaged) minus {name}: {found.value:+.3f}, 95 % of resampled splits in "
            f"[{found.low:+.3f}, {found.high:+.3f}]."
        )
    return said


def _scatter(items: pl.DataFrame) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    names = items["predictor"].unique(maintain_order=True).to_list()
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
