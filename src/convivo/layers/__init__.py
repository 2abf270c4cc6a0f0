"""The parts networks are made of: one class per operation, for signals, images and volumes alike.

Every layer takes `spatial_dims` once, and sizes as one integer or one per axis.
"""

from convivo.layers.activation import ACTIVATIONS, activation
from convivo.layers.convolution import Conv, UpConv
from convivo.layers.dropout import Dropout
from convivo.layers.normalization import Norm
from convivo.layers.pooling import AdaptivePool, GlobalPool, Pool
from convivo.layers.upsampling import Upsample

__all__ = [
    "ACTIVATIONS",
    "AdaptivePool",
    "Conv",
    "Dropout",
    "GlobalPool",
    "Norm",
    "Pool",
    "UpConv",
    "Upsample",
    "activation",
]
