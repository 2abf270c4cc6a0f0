"""The parts networks are made of: one class per operation, for signals, images and volumes alike.

Every layer takes `spatial_dims` once, and sizes as one integer or one per axis.
"""

from convivo.layers.activation import ACTIVATIONS, activation
from convivo.layers.adaptive_pooling import AdaptivePool
from convivo.layers.convolution import Conv, TrueConv
from convivo.layers.dropout import Dropout
from convivo.layers.heads import Sigmoid, Softmax, probabilities
from convivo.layers.normalization import Norm
from convivo.layers.padding import Pad
from convivo.layers.pooling import GlobalPool, Pool
from convivo.layers.presets import PRESETS, preset
from convivo.layers.resize import ResizeConv
from convivo.layers.transposed import UpConv
from convivo.layers.unpooling import Unpool, unpool
from convivo.layers.upsampling import Upsample

__all__ = [
    "ACTIVATIONS",
    "PRESETS",
    "AdaptivePool",
    "Conv",
    "Dropout",
    "GlobalPool",
    "Norm",
    "Pad",
    "Pool",
    "ResizeConv",
    "Sigmoid",
    "Softmax",
    "TrueConv",
    "Unpool",
    "UpConv",
    "Upsample",
    "activation",
    "preset",
    "probabilities",
    "unpool",
]
