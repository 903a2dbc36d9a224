"""Saving a fitted model to a folder: the configuration as JSON, the weights as tensors, no executable pickles."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

from models.predictors.features import Widths
from models.predictors.m3tr import M3TR, M3TRConfig

FORMAT = 1


def save(model: M3TR, folder: str | Path) -> None:
    """Write `config.json` and `weights.pt` to a folder.

    Args:
        model: The fitted model.
        folder: The folder; it is created if it does not exist.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    description = {
        "format": FORMAT,
        "config": asdict(model.config),
        "widths": asdict(model.widths),
        "process": model.temporal_encoder is not None,
    }
    torch.save(model.state_dict(), folder / "weights.pt")
    (folder / "config.json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")


def load(folder: str | Path, *, temporal_encoder: nn.Module | None = None, device: torch.device | str = "cpu") -> M3TR:
    """Return a saved model in evaluation mode.

    Args:
        folder: A folder written by `save`.
        temporal_encoder: An encoder of the same shape, for a model with a process inside; it receives the saved weights.
            None for a model without one.
        device: Device of the model.

    Returns:
        The model.

    Raises:
        FileNotFoundError: The folder holds no model.
        ValueError: The model has another format, the encoder is missing, or the model takes no encoder.
    """
    folder = Path(folder)
    description = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if description["format"] != FORMAT:
        raise ValueError(f"{folder} has a model of format {description['format']}, but this version reads {FORMAT}")
    if description["process"] != (temporal_encoder is not None):
        requirement = "needs a" if description["process"] else "has no process inside and takes no"
        raise ValueError(f"the model in {folder} {requirement} temporal_encoder")
    model = M3TR(
        M3TRConfig(**description["config"]), Widths(**description["widths"]), temporal_encoder=temporal_encoder
    )
    model.load_state_dict(torch.load(folder / "weights.pt", map_location="cpu", weights_only=True))
    return model.to(device).eval()
