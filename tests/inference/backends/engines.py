"""Small networks with their tasks, and engines for them."""

from functools import partial

import numpy as np
import torch

from convivo.architectures.create import create
from convivo.inference.backends.onnx_engine import ONNXRuntime
from convivo.inference.backends.openvino_engine import OpenVINO
from convivo.inference.backends.program import Programs
from convivo.inference.backends.torch_engine import Torch
from convivo.inference.predictor import Predictor
from convivo.tasks.classify import Classify
from convivo.tasks.reconstruct import Reconstruct
from convivo.tasks.regress import Regress
from convivo.tasks.segment import Segment

CLASSES = ("a", "b", "c")
SIZE = (24, 16, 32)
CASES = {
    "classes 1D": ("resnet18", 1, Classify(classes=CLASSES)),
    "classes 2D": ("lenet5", 2, Classify(classes=CLASSES)),
    "several 2D": ("resnet18", 2, Classify(classes=CLASSES, several=True)),
    "number 3D": ("resnet18", 3, Regress(classes=(), mean=40.0, std=9.0)),
    "maps 1D": ("unet", 1, Segment(classes=CLASSES)),
    "maps 2D": ("unet", 2, Segment(classes=CLASSES)),
    "maps 3D": ("unet", 3, Segment(classes=CLASSES)),
    "images 2D": ("autoencoder", 2, Reconstruct(channels=2)),
    "images 1D": ("vae", 1, Reconstruct(channels=2)),
}
ENGINES = {"openvino": partial(OpenVINO, precision="fp32"), "onnx": ONNXRuntime}


def predictor_of(case, *, sampling=None, seed=0, **more):
    """A predictor of an untrained network of two channels, whose BatchNorms have seen data."""
    name, dims, task = CASES[case]
    size = SIZE[:dims]
    torch.manual_seed(seed)
    network = create(
        name, spatial_dims=dims, in_channels=2, num_classes=task.outputs, input_size=size,
        width=0.125,
    )  # fmt: skip
    with torch.no_grad():
        network.train()(torch.randn(8, 2, *size) * 2 + 1)
    sampling = sampling or ("patch" if task.output == "map" else "whole")
    more.setdefault("multiple", getattr(network, "total_stride", None))
    return Predictor(network=network.eval(), task=task, sampling=sampling, size=size, **more)


def programs_of(predictor):
    return Programs(
        network=predictor.network,
        decode=predictor.task.decode,
        free=predictor.sampling == "patch",
    )


def engine_of(predictor, name):
    return ENGINES[name](programs_of(predictor), threads=1)


def torch_of(predictor):
    return Torch(predictor.through_torch)


def images(count, dims, seed=1, size=None):
    shape = (count, 2, *(size or SIZE[:dims]))
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


class Fixed:
    """An engine that answers by rule, and counts how often it is asked."""

    def __init__(self, name, answer, precision="fp32"):
        self.name, self.precision, self.answer, self.asked = name, precision, answer, 0

    def __call__(self, given):
        self.asked += 1
        return self.answer(given)
