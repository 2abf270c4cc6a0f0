"""Weights for another number of axes: inflated along new axes, summed over those that go.

The axes that come or go are always the first ones: a volume's depth, an image's rows. What is
exact, for weights of images in a network of volumes and so on:

- "centre": all the weight of a kernel is in its middle slice, tap (k - 1) // 2. On a volume that
  does not change along depth, the answer is the 2D network's for the image, with any padding mode
  and any stride, as long as no middle tap falls into the padding (padding up to dilation times
  (k - 1) // 2, as our networks have), no average counts padding, and no maximum is put back where
  it came from (SegNet: of equal slices only one gets it). Where all windows and strides along
  depth are 1 but for the inflated kernels, each slice of the output is the 2D network's for that
  slice, whatever the volume.
- "mean": every slice has the weight divided by their number. Exact for a volume that does not
  change along depth under the same conditions, if the padding does not change either:
  `replicate_new_axes` sees to it. (FCN pads its input to a multiple of 32: give it one.)
- Summed (3D to 2D, 2D to 1D): exact for an input that does not change along the axis, if the
  padding does not either ("circular", "replicate", "reflect", "symmetric"); a summed network pads
  by zeros on the axes that stay, as before. A sum undoes either inflation.

A transposed convolution makes s samples of one along a new axis, so the weight is repeated in the s
middle taps, whatever the inflation: each output sample meets it once. Collapsed it is divided by s,
exact if all s phases of the kernel have the same sum.

Sources: Carreira & Zisserman 2017, arXiv:1705.07750 (mean, and the test on an input that does not
change); Girdhar et al. 2018, arXiv:1712.09184 (centre).
"""

import math
from collections.abc import Sequence

from torch import Tensor, nn

from convivo.layers import Conv, UpConv
from convivo.layers.kernels import check_choice

INFLATIONS = ("centre", "mean")
PUBLISHED_DIMS = 2  # the widely published weights are of images


def new_axes(spatial_dims: int) -> int:
    """Axes of a network that weights of images do not have.

    Example:
        >>> [new_axes(dims) for dims in (1, 2, 3)]
        [0, 0, 1]
    """
    return max(0, spatial_dims - PUBLISHED_DIMS)


def replicate_new_axes(net: nn.Module, inflation: str) -> None:
    """What "mean" changes of a network: convolutions of volumes repeat the first and last slice.

    Zeros beside the volume would take part in the mean. Padding along the other axes, and other
    modes than "zeros", stay as they are, and so does everything with "centre".

    Raises:
        ConfigError: an unknown inflation.
    """
    check_choice(inflation, INFLATIONS, "net.inflation")
    for layer in net.modules():
        if isinstance(layer, Conv) and inflation == "mean":
            modes = list(layer.padding_mode)
            for axis in range(new_axes(layer.spatial_dims)):
                modes[axis] = "replicate" if modes[axis] == "zeros" else modes[axis]
            layer.set_padding_mode(modes)


def shares(taps: int, inflation: str, like: Tensor, step: int = 1) -> Tensor:
    """The share of a weight that each tap along a new axis has.

    Args:
        taps: length of the kernel, or of the grid behind a linear layer, along the axis.
        like: gives the data type and device.
        step: stride of a transposed convolution along the axis; for all else 1.
    Example:
        >>> import torch
        >>> one = torch.ones(1)
        >>> shares(3, "centre", one).tolist(), shares(4, "mean", one).tolist()
        ([0.0, 1.0, 0.0], [0.25, 0.25, 0.25, 0.25])
        >>> shares(4, "centre", one, step=2).tolist()
        [0.0, 1.0, 1.0, 0.0]
    """
    if inflation == "mean" and step == 1:
        return like.new_full((taps,), 1 / taps)
    first = max(0, (taps - step) // 2)
    result = like.new_zeros(taps)
    result[first : first + step] = 1
    return result


def inflated(weight: Tensor, axis: int, parts: Sequence[Tensor]) -> Tensor:
    """A weight with new axes before `axis`, spread along each by its shares.

    Example:
        >>> import torch
        >>> inflated(torch.ones(8, 3, 5, 5), 2, [torch.tensor([0.0, 1.0, 0.0])]).shape
        torch.Size([8, 3, 3, 5, 5])
    """
    for part in reversed(parts):
        weight = weight.unsqueeze(axis)
        weight = weight * part.view([-1 if i == axis else 1 for i in range(weight.dim())])
    return weight


def collapsed(weight: Tensor, axis: int, count: int, steps: Sequence[int] = ()) -> Tensor:
    """A weight summed over `count` axes from `axis` on, divided by the strides of a transpose."""
    return weight.sum(dim=tuple(range(axis, axis + count))) / math.prod(steps)


def fit_kernel(
    weight: Tensor, have: int, layer: nn.Module | None, taps: Sequence[int], how: str
) -> Tensor:
    """A kernel of `have` spatial axes as one of as many as `taps` has.

    Args:
        weight: (..., *K), with any number of axes before its taps.
        layer: whose it becomes; a transposed convolution's stride counts.
        taps: K of the layer.
        how: "centre" or "mean".
    """
    axis, more = weight.dim() - have, len(taps) - have
    steps = layer.stride if isinstance(layer, UpConv) else (1,) * len(taps)
    if more < 0:
        # strides of the axes that go are not known: kernels overlap there as on the first one left
        gone, share = weight.shape[axis : axis - more], steps[0] / taps[0]
        divisors = [max(1, round(n * share)) for n in gone] if isinstance(layer, UpConv) else []
        return collapsed(weight, axis, -more, divisors)
    rows = zip(taps[:more], steps[:more], strict=True)
    return inflated(weight, axis, [shares(n, how, weight, step) for n, step in rows])


def fit_linear(
    weight: Tensor, have: int, want: int, channels: int, features: int, how: str
) -> Tensor | None:
    """The weight of a linear layer behind a grid of `have` axes, for one of `want` axes.

    The grid's new axes, or those that go, are taken to be equally long.

    Args:
        weight: (O, C * grid). channels: C. features: columns that the layer has.
    Returns:
        (O, features), or None where the columns are no such grids.
    Example:
        >>> import torch
        >>> fit_linear(torch.ones(5, 2 * 7), 1, 2, 2, 2 * 49, "mean").shape
        torch.Size([5, 98])
    """
    columns, more = weight.shape[1], abs(want - have)
    large, small = max(columns, features), min(columns, features)
    side = round((large / small) ** (1 / max(1, more)))
    if columns % channels or small * side**more != large or (features > columns) != (want > have):
        return None
    if want < have:
        grid = weight.reshape(len(weight), channels, *(side,) * more, -1)
        return collapsed(grid, 2, more).flatten(1)
    grid = weight.reshape(len(weight), channels, -1)
    return inflated(grid, 2, [shares(side, how, weight)] * more).flatten(1)
