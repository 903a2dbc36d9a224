"""A reader of a checkpoint's weights in transformers' layout, in one file or in shards."""

import json
from pathlib import Path

import torch


def read(folder):
    """Return the configuration and the weights by name of a checkpoint's folder.

    Raises:
        FileNotFoundError: The folder holds no weights.
    """
    folder = Path(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    weights = {}
    for whole in ("model.safetensors", "pytorch_model.bin"):
        index = folder / f"{whole}.index.json"
        if (folder / whole).is_file():
            files = [whole]
        elif index.is_file():
            files = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        else:
            continue
        for file in files:
            weights.update(_read(folder / file))
        return config, weights
    raise FileNotFoundError(f"{folder} holds no weights")


def _read(file):
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(str(file))
    return torch.load(str(file), map_location="cpu", weights_only=True)
