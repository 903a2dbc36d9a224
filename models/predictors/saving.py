"""A fitted model as a folder: its configuration as JSON, its weights as tensors and nothing that could run."""

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
    """Writes `config.json` and `weights.pt` into `folder`, which is made where it is not there."""
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
    """The model saved in `folder`, ready to predict.

    temporal_encoder: where the model has a process inside, an encoder of the same shape, which takes on the weights
    that were saved. Raises FileNotFoundError where there is no model, ValueError for another format, and for an encoder
    that is missing or not called for.
    """
    folder = Path(folder)
    description = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if description["format"] != FORMAT:
        raise ValueError(f"{folder} has a model of format {description['format']}, this version reads {FORMAT}")
    if description["process"] != (temporal_encoder is not None):
        needed = "needs" if description["process"] else "has no process inside and takes no"
        raise ValueError(f"the model in {folder} {needed} temporal_encoder")
    model = M3TR(
        M3TRConfig(**description["config"]), Widths(**description["widths"]), temporal_encoder=temporal_encoder
    )
    model.load_state_dict(torch.load(folder / "weights.pt", map_location="cpu", weights_only=True))
    return model.to(device).eval()
