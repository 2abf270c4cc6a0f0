"""Convolution of a single volume with few channels, where torch would unroll all of its windows.

For one volume of few channels torch 2.13 takes a kernel of its own on CPUs (`slow_conv3d`): it
copies every window into columns, 27 times the volume for kernels of 3, and multiplies them with the
weights. Two volumes at once it gives to oneDNN, which needs no columns and less time. In inference
mode one volume is given to oneDNN as well.
"""

from math import prod

import torch
from torch import Tensor

from convivo.geometry import Axes
from convivo.layers.precision import conv3d

# N C S1 S2 up to which torch takes its own kernel (ATen/native/Convolution.cpp, `use_mkldnn`)
FEW = 20_480
LARGE = 3  # kernels beyond it, on both of the last axes, are never its own


def conv3d_by_onednn(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Axes,
    padding: Axes,
    dilation: Axes,
    groups: int,
) -> Tensor:
    """`precision.conv3d`, by oneDNN where torch would unroll; results differ by their rounding.

    Only in inference mode: the gradient would choose its kernels anew, and who follows a network's
    layers one by one, as for its receptive field, is shown torch's usual operation.
    """
    if torch.is_inference_mode_enabled() and is_unrolled(x, weight, dilation, groups):
        return torch.mkldnn_convolution(x, weight, bias, padding, stride, dilation, groups)
    return conv3d(x, weight, bias, stride, padding, dilation, groups)


def is_unrolled(x: Tensor, weight: Tensor, dilation: Axes, groups: int) -> bool:
    """Whether torch unrolls the windows of x (N, C, *S), and oneDNN is there to do without.

    A program that is exported keeps torch's usual operation.
    """
    if torch.compiler.is_compiling() or x.device.type != "cpu":
        return False
    if x.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):
        return False
    kernel = weight.shape[2:]
    return (
        x.shape[0] == groups == max(dilation) == 1
        and prod(kernel[-2:]) > 1
        and min(kernel[-2:]) <= LARGE
        and prod(x.shape[:4]) <= FEW
        and torch.backends.mkldnn.is_available()
        and bool(torch.backends.mkldnn.enabled)
    )
