"""A way to import torchvision beside a PyTorch that torchvision's compiled part was not built for, such as a CPU build."""

import sys

import torch


def make_importable():
    """Declare the operators that torchvision lacks when its compiled part doesn't match PyTorch, so that it can be imported."""
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        make_importable.kept = library  # the declarations end with this object
