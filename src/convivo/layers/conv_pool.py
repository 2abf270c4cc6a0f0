"""Where a convolution, its activation and its pooling are trained as one operation."""

import torch
from torch import Tensor, nn

from convivo.layers.conv_pool_kernel import ACTIVATIONS, computed_in
from convivo.layers.convolution import Conv
from convivo.layers.pooling import Pool

# Where it was measured to be faster, on one core with AVX2: see `bench/conv_pool.py`.
FEW, FEW_LATER = 2, 6  # input channels; where the input needs a gradient
LEAST_ITEMS, LEAST_ITEMS_LATER = 8, 64
LEAST_KERNEL_LATER = 5
NUMBERS = {torch.float32, torch.bfloat16}


def conv_pool(x: Tensor, conv: Conv, activation: nn.Module, pool: Pool) -> Tensor:
    """`pool(activation(conv(x)))`, in one operation where a training on CPU is faster so.

    Shape: (N, C, *S) -> (N, D, *T), as of the layers. In one operation `conv` alone is called, told
    of the others; layers with hooks of their own are always called one by one.

    Raises:
        ShapeError: as of the layers.
    """
    if torch.is_grad_enabled() and fits(x, conv, activation, pool) and pays(x, conv):
        return conv(x, then=(activation, pool))
    answer = pool(activation(conv(x)))
    assert isinstance(answer, Tensor), "pooling without indices"
    return answer


def fits(x: Tensor, conv: Conv, activation: nn.Module, pool: Pool) -> bool:
    """Whether the operation can do what these layers do: windows of 2 by 2 that leave nothing."""
    if torch.compiler.is_compiling() or x.dim() != 4 or x.device.type != "cpu":
        return False
    if conv.weight.dtype != torch.float32 or not {x.dtype, computed_in(x)} <= NUMBERS:
        return False
    if not torch.is_autocast_enabled("cpu") and x.dtype != torch.float32:
        return False
    if type(activation) not in ACTIVATIONS or any(map(_hooked, (conv, activation, pool))):
        return False
    return _is_plain(conv) and _halves(pool) and _is_even(x, conv)


def _is_plain(conv: Conv) -> bool:
    ones = (1, 1)
    plain = (conv.stride, conv.dilation, conv.groups) == (ones, ones, 1) and not conv.has_outer
    return plain and all(k % 2 for k in conv.kernel_size)


def _halves(pool: Pool) -> bool:
    twos = (2, 2)
    alone = not any(map(any, pool.padding)) and max(pool.dilation) == 1 and not pool.return_indices
    return alone and (pool.kernel_size, pool.stride) == (twos, twos)


def _is_even(x: Tensor, conv: Conv) -> bool:
    """No row or column of the convolution is left over by the pooling."""
    rows = zip(x.shape[2:], conv.padding, conv.kernel_size, strict=True)
    left = [size + before + after - k + 1 for size, (before, after), k in rows]
    return x.shape[1] == conv.in_channels and all(n >= 2 and n % 2 == 0 for n in left)


def pays(x: Tensor, conv: Conv) -> bool:
    """Whether it is faster: few channels, and enough items for rows of them in memory.

    Half as many products again are spent, so that with more channels torch's kernels win.
    """
    if not x.requires_grad:
        return x.shape[1] <= FEW and len(x) >= LEAST_ITEMS
    large = min(conv.kernel_size) >= LEAST_KERNEL_LATER and len(x) >= LEAST_ITEMS_LATER
    return x.shape[1] <= FEW_LATER and large


def _hooked(module: nn.Module) -> bool:
    """Whether somebody wants to see this layer's own input, output or gradient."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(module, name) for name in hooks)
