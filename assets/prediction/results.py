"""What a person reads at the end of a run: the table of metrics, the predictions, the pictures."""

from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from assets.settings import Settings
from models.metrics import bootstrap, interval

WRITTEN = ("evaluation.md", "evaluation.csv", "test_predictions.csv", "evaluation.png")
SHOWN = ("nMSE", "SRC", "PLCC", "MAE", "nMSE_count", "MAE_count")


def results_folder(settings: Settings) -> Path:
    """Absolute folder that receives the tables a person reads."""
    return Path(settings.store.results).expanduser().resolve()


def evaluation_markdown(table: pl.DataFrame, items: pl.DataFrame, notes: list[str], *, window: str) -> str:
    """Write the metrics as two tables: every metric with whole windows, and nMSE by the age of the item.

    Args:
        table: one row per predictor, seed and age; see `assets.prediction.evaluation`.
        items: the predictions that it was made from.
        notes: further lines below the tables.
        window: what the whole window is called.
    """
    whole, whole_items = (frame.filter(pl.col("age_hours").is_null()) for frame in (table, items))
    lines = ["| predictor | " + " | ".join(SHOWN) + " |", "|---|" + "---:|" * len(SHOWN)]
    order = whole["predictor"].unique(maintain_order=True).reverse()
    for name in order:
        rows = whole.filter(pl.col("predictor") == name)
        cells = [_cell(rows[metric].to_numpy()) for metric in SHOWN]
        lines.append(f"| {_label(name, rows)} | " + " | ".join(cells) + " |")
    said = [
        f"{whole_items['item'].n_unique()} test items; nMSE, SRC, PLCC and MAE on the scale of the target, *_count on raw "
        "counts; ± is a 95 % interval over seeds."
    ]
    said += _paired(whole_items) + notes
    return "\n".join([*lines, *_by_age(table, items, order, window), "", *(f"- {line}" for line in said)])


def _label(name: str, rows: pl.DataFrame) -> str:
    return f"**{name}** ({len(rows)} seed{'s' * (len(rows) > 1)})" if rows["seed"][0] is not None else name


def _by_age(table: pl.DataFrame, items: pl.DataFrame, order: pl.Series, window: str) -> list[str]:
    """NMSE of the same items at younger ages, and the model's mean error there; nothing where no age is set."""
    ages = table["age_hours"].unique().drop_nulls().sort().to_list()
    if not ages:
        return []
    parts = {f"{age:g} h": pl.col("age_hours") == age for age in ages} | {window: pl.col("age_hours").is_null()}
    lines = ["", "| nMSE by age | " + " | ".join(parts) + " |", "|---|" + "---:|" * len(parts)]
    for name in order:
        rows = table.filter(pl.col("predictor") == name)
        values = [rows.filter(part)["nMSE"].to_numpy() for part in parts.values()]
        label = _label(name, rows.filter(pl.col("age_hours").is_null()))
        lines.append(f"| {label} | " + " | ".join(_cell(value) if len(value) else "n/a" for value in values) + " |")
    error = items.filter(pl.col("predictor") == "M3TR").with_columns(pl.col("predicted") - pl.col("target"))
    errors = [error.filter(part)["predicted"].mean() for part in parts.values()]
    lines.append("| mean error of M3TR | " + " | ".join("n/a" if e is None else f"{e:+.2f}" for e in errors) + " |")
    return lines


def write_results(folder: Path, *, table: pl.DataFrame, items: pl.DataFrame, text: str) -> None:
    """Write `evaluation.md`, `evaluation.csv`, `test_predictions.csv` and `evaluation.png` into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evaluation.md").write_text(f"# Evaluation\n\n{text}\n", encoding="utf-8")
    table.write_csv(folder / "evaluation.csv")
    items.write_csv(folder / "test_predictions.csv")
    _scatter(items.filter(pl.col("age_hours").is_null())).savefig(folder / "evaluation.png", dpi=120)


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
