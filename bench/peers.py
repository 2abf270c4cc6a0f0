"""The peers we measure ourselves against, imported where their compiled parts are missing.

torchvision's wheels are made for CUDA: on a CPU build of torch its library does not load, and the
import then fails at two operations of object detection. Declaring those is enough for its networks.
"""

import importlib

import torch

DETECTION = torch.library.Library("torchvision", "FRAGMENT")


def torchvision_networks():
    """The module torchvision.models."""
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            DETECTION.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return importlib.import_module("torchvision.models")


def monai_networks():
    """The module monai.networks.nets."""
    return importlib.import_module("monai.networks.nets")
