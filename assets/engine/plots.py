"""Small plots in an asset's metadata."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from models.png import save_png

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


def fit_curves(curves: Mapping[str, Sequence[Sequence[float | None]]], *, label: str) -> dg.MetadataValue:
    """Return the validation curves of several fits in one picture; fits whose names differ in the seed share a colour.

    Args:
        curves: Name -> curve as in `fit_curve`. A name ends with ", seed N" if there are several seeds.
        label: Label of the vertical axis.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 3.5), layout="constrained")
    axes = figure.subplots()
    colours: dict[str, str] = {}
    for name, curve in curves.items():
        family = name.split(", seed")[0]
        is_first = family not in colours
        colour = colours.setdefault(family, f"C{len(colours)}")
        axes.plot(*zip(*((at, own) for at, _, own in curve)), color=colour, label=family if is_first else None)
    axes.set_xlabel("pass")
    axes.set_ylabel(label)
    axes.legend()
    return picture(figure)


def picture(figure: Figure) -> dg.MetadataValue:
    """Return a figure as a metadata entry, with the PNG inside."""
    buffer = io.BytesIO()
    save_png(figure, buffer)
    return dg.MetadataValue.md(f"![](data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()})")
