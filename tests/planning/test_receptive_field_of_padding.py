"""What a sample sees does not depend on how the borders are padded: each mode against gradients."""

import pytest
import torch
from torch import nn

from convivo.layers import Conv, Pad, ResizeConv, TrueConv, UpConv
from convivo.layers.padding import PADDING_MODES
from convivo.planning.receptive_field import receptive_field

MODES = pytest.mark.parametrize("mode", PADDING_MODES)


def measured(net, size):
    """The widest span of gradients over output positions away from the borders."""
    with torch.no_grad():
        for p in net.parameters():
            p.fill_(1)
    x = torch.ones(1, 1, size, requires_grad=True)
    out = net(x)
    spans = []
    for place in range(3 * out.shape[2] // 8, 5 * out.shape[2] // 8):
        (gradient,) = torch.autograd.grad(out[0, 0, place], x, retain_graph=True)
        seen = gradient[0, 0].nonzero().flatten()
        spans.append(int(seen[-1] - seen[0]) + 1)
    return max(spans)


@MODES
@pytest.mark.parametrize("kind", [Conv, TrueConv, UpConv])
@pytest.mark.parametrize("sides", [(1, 2), (30, 47)], ids=["short", "beyond the axis"])
def test_padding_inside_convolutions(kind, sides, mode):
    options = {"padding": (sides,), "padding_mode": mode, "stride": 2, "spatial_dims": 1}
    net = nn.Sequential(
        Conv(1, 1, 3, dilation=2, padding="same", padding_mode=mode, spatial_dims=1),
        kind(1, 1, 4, **options),
        Conv(1, 1, 3, spatial_dims=1),
    )
    # measured where there is a middle; the field itself does not depend on the size
    long = 80 if sides == (1, 2) else 400
    assert (
        receptive_field(net, (1, 40)) == receptive_field(net, (1, long)) == (measured(net, long),)
    )


class Sum(nn.Module):
    """Two paths over the same grid; what they see together tells where each of them looks."""

    def __init__(self, *paths):
        super().__init__()
        self.paths = nn.ModuleList(paths)

    def forward(self, x):
        return sum(path(x) for path in self.paths)


@MODES
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_padded_path_looks_where_its_padding_puts_it(dims, mode):
    sides, options = ((1, 3), (2, 2), (3, 1))[:dims], {"spatial_dims": dims}
    around = Conv(1, 1, 5, padding=2, **options)  # two samples on either side
    padded = nn.Sequential(Pad(sides, mode=mode, **options), Conv(1, 1, 5, **options))
    back = UpConv(1, 1, 5, stride=1, padding=sides, padding_mode=mode, **options)
    size = (1, *(7, 9, 11)[:dims])
    assert receptive_field(Sum(around, padded), size) == (6, 5, 6)[:dims]
    assert receptive_field(Sum(around, back), size) == (6, 5, 6)[:dims]
    assert receptive_field(Sum(padded, back), size) == (7, 5, 7)[:dims]


def test_resizing_convolution():
    net = nn.Sequential(
        Conv(1, 1, 3, stride=2, spatial_dims=1), ResizeConv(1, 1, 3, 2, spatial_dims=1)
    )
    assert receptive_field(net, (1, 80)) == (measured(net, 80),)
