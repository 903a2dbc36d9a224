"""Saving a process to a folder and loading it.

The folder holds the configuration as JSON and the tensors as a PyTorch file. Loading does not execute code from it.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

from models.hawkes.exponential import ExponentialHawkes
from models.hawkes.mamba import MambaHawkesProcess
from models.hawkes.neural_hawkes import NeuralHawkesProcess
from models.hawkes.poisson import PoissonProcess
from models.hawkes.process import PointProcess
from models.hawkes.raw_events import RawEvents

CONFIG, WEIGHTS = "process.json", "weights.pt"
_KINDS = {
    "exponential": ExponentialHawkes,
    "mamba": MambaHawkesProcess,
    "neural": NeuralHawkesProcess,
    "poisson": PoissonProcess,
    "raw": RawEvents,
}


def save(process: PointProcess, folder: str | Path) -> None:
    """Write a process to a folder, as process.json and weights.pt.

    Args:
        process: A process of this package.
        folder: The folder; it is created if it does not exist, and files of an earlier process are overwritten.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    kind = next(name for name, cls in _KINDS.items() if type(process) is cls)
    torch.save(process.state_dict(), folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps({"kind": kind, **process.config()}, indent=2) + "\n")


def load(folder: str | Path, *, device: torch.device | str = "cpu") -> PointProcess:
    """Load a process from a folder.

    Args:
        folder: A folder that `save` wrote.
        device: Device of the process; the CPU by default.

    Returns:
        The process, in eval mode.

    Raises:
        ValueError: If the folder has no process.json, or if its kind is unknown.

    Example:
        >>> import tempfile
        >>> from models.hawkes import ExponentialHawkes, load, save
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(ExponentialHawkes(2), folder)
        ...     load(folder).num_types
        2
    """
    folder = Path(folder)
    try:
        config = json.loads((folder / CONFIG).read_text())
    except FileNotFoundError as error:
        raise ValueError(f"{folder} holds no process: there is no {CONFIG}") from error
    kind = config.pop("kind", None)
    if kind not in _KINDS:
        raise ValueError(f"{folder / CONFIG}: kind {kind!r}; allowed: {', '.join(_KINDS)}")
    weights = torch.load(folder / WEIGHTS, map_location=device, weights_only=True)
    process = _KINDS[kind](**config)
    if any(weights[name].dtype == torch.float64 for name, _ in process.named_parameters()):
        process.double()
    process.load_state_dict(weights)
    return process.to(device).eval()
