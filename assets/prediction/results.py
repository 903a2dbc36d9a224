"""What a person reads at the end of a run: the table of metrics, the predictions, the pictures."""

from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from models.metrics import bootstrap, interval

SHOWN = ("nMSE", "SRC", "PLCC", "MAE", "nMSE_count", "MAE_count")


def evaluation_markdown(table: pl.DataFrame, items: pl.DataFrame, notes: list[str]) -> str:
    """The metrics as a table, a line a predictor: mean over its seeds, with a 95 % interval where there are several."""
    lines = ["| predictor | " + " | ".join(SHOWN) + " |", "|---|" + "---:|" * len(SHOWN)]
    order = table["predictor"].unique(maintain_order=True).reverse()
    for name in order:
        rows = table.filter(pl.col("predictor") == name)
        label = f"**{name}** ({len(rows)} seed{'s' * (len(rows) > 1)})" if rows["seed"][0] is not None else name
        lines.append(f"| {label} | " + " | ".join(_cell(rows[metric].to_numpy()) for metric in SHOWN) + " |")
    count = items["item"].n_unique()
    said = [
        f"{count} test items; nMSE, SRC, PLCC and MAE on the scale of the target, *_count on raw counts; "
        "± is a 95 % interval over seeds."
    ]
    said += _paired(items) + notes
    return "\n".join([*lines, "", *(f"- {line}" for line in said)])


def write_results(folder: Path, *, table: pl.DataFrame, items: pl.DataFrame, text: str) -> None:
    """Write `evaluation.md`, `evaluation.csv`, `test_predictions.csv` and `evaluation.png` into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evaluation.md").write_text(f"# Evaluation\n\n{text}\n", encoding="utf-8")
    table.write_csv(folder / "evaluation.csv")
    items.write_csv(folder / "test_predictions.csv")
    _scatter(items).savefig(folder / "evaluation.png", dpi=120)


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
    model = averaged.filter(pl.col("predictor") == "M3TR").sort("item")
    said = []
    for name in averaged["predictor"].unique(maintain_order=True):
        if name == "M3TR" or len(model) < 2:
            continue
        other = averaged.filter(pl.col("predictor") == name).sort("item")
        found = bootstrap(
            model["target"].to_numpy(), model["predicted"].to_numpy(), other=other["predicted"].to_numpy()
        )
        said.append(
            f"nMSE of M3TR (seeds averaged) minus {name}: {found.value:+.3f}, 95 % of resampled splits in "
            f"[{found.low:+.3f}, {found.high:+.3f}]."
        )
    return said


def _scatter(items: pl.DataFrame) -> Figure:
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
