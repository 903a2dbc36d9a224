"""Small plots in an asset's metadata."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def fit_curve(curve: Sequence[Sequence[float | None]], *, label: str) -> dg.MetadataValue:
    """Return the training and validation curves as a picture.

    Args:
        curve: One (pass, training value, validation value) per pass; None leaves a gap.
        label: Label of the vertical axis.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    axes.plot([point[0] for point in curve], [point[1] for point in curve], label="training")
    axes.plot([point[0] for point in curve], [point[2] for point in curve], label="validation")
    axes.set_xlabel("pass")
    axes.set_ylabel(label)
    axes.legend()
    return picture(figure)


def picture(figure: Figure) -> dg.MetadataValue:
    """Return a figure as a metadata entry, with the PNG inside."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return dg.MetadataValue.md(f"![](data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()})")
