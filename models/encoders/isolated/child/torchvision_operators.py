"""torchvision beside a PyTorch that its compiled part was not built for, such as one for CPUs."""

import sys

import torch


def make_importable():
    """Let torchvision be imported beside a PyTorch that its compiled part doesn't fit: it asks for these operators then."""
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        make_importable.kept = library  # it lives as long as what it declared
