"""Autocast, and convolution in bfloat16 on CPUs kept away from two faults of its kernels.

oneDNN 3.12, which torch 2.13 brings:
- With AVX512-BF16 the gradient of the weight is wrong, often not finite, and may be written out of
  bounds, where the first axis is padded and shorter than the kernel: the memory of taps that meet
  padding only is not filled. In any memory layout; `bench/bf16_hazard.py` measures it.
- With AMX the output is wrong where the last output axis has one sample and a stride above 1
  (reported as pytorch/pytorch#169688; not measured here).
Such grids are small, so float32 costs little there. Signals and images are not concerned.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor

from convivo.geometry import Axes


def _in_bfloat16(x: Tensor) -> bool:
    if x.device.type != "cpu":
        return False
    if torch.is_autocast_enabled("cpu"):
        return torch.get_autocast_dtype("cpu") == torch.bfloat16
    return x.dtype == torch.bfloat16


def _overhangs(size: int, kernel: int, padding: int, dilation: int) -> bool:
    return padding > 0 and size < dilation * (kernel - 1) + 1


def conv3d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Axes,
    padding: Axes,
    dilation: Axes,
    groups: int,
) -> Tensor:
    """As torch's, for (N, C, *S); in float32 where bfloat16 would give wrong numbers."""
    sizes = (stride, padding, dilation, groups)
    if not _in_bfloat16(x) or not _conv_at_risk(x.shape, weight.shape, stride, padding, dilation):
        return F.conv3d(x, weight, bias, *sizes)
    with torch.autocast("cpu", enabled=False):
        offset = None if bias is None else bias.float()
        return F.conv3d(x.float(), weight.float(), offset, *sizes).bfloat16()


def _conv_at_risk(
    shape: Sequence[int], weight: Sequence[int], stride: Axes, padding: Axes, dilation: Axes
) -> bool:
    if _overhangs(shape[2], weight[2], padding[0], dilation[0]):
        return True
    # one sample on the last axis: the next window would not fit any more
    reach = dilation[-1] * (weight[-1] - 1) + 1
    return stride[-1] > 1 and shape[-1] + 2 * padding[-1] - reach < stride[-1]


def conv_transpose3d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Axes,
    padding: Axes,
    output_padding: Axes,
    groups: int,
    dilation: Axes,
) -> Tensor:
    """As torch's; its weight gradient is that of the convolution from its output to its input."""
    sizes = (stride, padding, output_padding, groups, dilation)
    reach = dilation[0] * (weight.shape[2] - 1) + 1
    length = (x.shape[2] - 1) * stride[0] - 2 * padding[0] + reach + output_padding[0]
    if not _in_bfloat16(x) or not _overhangs(length, weight.shape[2], padding[0], dilation[0]):
        return F.conv_transpose3d(x, weight, bias, *sizes)
    with torch.autocast("cpu", enabled=False):
        offset = None if bias is None else bias.float()
        return F.conv_transpose3d(x.float(), weight.float(), offset, *sizes).bfloat16()


def autocast(precision: str, device: str) -> AbstractContextManager:
    """The context a step runs in: "fp32" none, "bf16"/"fp16" torch's autocast."""
    if precision == "fp32":
        return nullcontext()
    dtype = torch.bfloat16 if precision == "bf16" else torch.float16
    return torch.autocast(device_type=device, dtype=dtype)
