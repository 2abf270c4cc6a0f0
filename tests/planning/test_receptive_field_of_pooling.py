"""What pooling to a given size, with padding per side, and unpooling do to the receptive field."""

import pytest
import torch
from torch import nn

from convivo.layers import AdaptivePool, Conv, Norm, Pool, Unpool, UpConv, Upsample
from convivo.planning.receptive_field import receptive_field


def widest_gradient(net, size):
    x = torch.rand(1, 2, size, dtype=torch.float64, requires_grad=True)
    out = net.double()(x).sum(1)[0]
    seen = [torch.autograd.grad(o, x, retain_graph=True)[0][0].sum(0).nonzero() for o in out]
    return max(int(s[-1] - s[0]) + 1 for s in seen)


def conv(kernel, stride=1):
    return Conv(2, 2, kernel, stride=stride, spatial_dims=1)


@pytest.mark.parametrize(("size", "left"), [(21, 7), (45, 7), (13, 6), (9, 4), (5, 8)])
@pytest.mark.parametrize(
    "before",
    [nn.Identity, lambda: conv(3), lambda: conv(5, 2), lambda: Upsample(2, spatial_dims=1)],
    ids=["input", "convolved", "strided", "upsampled"],
)
def test_adaptive_pooling_sees_exactly_where_gradients_arrive(size, left, before):
    net = nn.Sequential(before(), AdaptivePool(left, spatial_dims=1))
    assert receptive_field(net, (2, size)) == (widest_gradient(net, size),)


@pytest.mark.parametrize(("size", "left"), [(42, 12), (60, 15), (60, 24), (24, 42)])
@pytest.mark.parametrize(
    ("before", "needs"),
    [
        (nn.Identity, lambda n: n),
        (lambda: conv(5, 2), lambda n: 2 * n + 3),
        (lambda: Upsample(2, spatial_dims=1), lambda n: n // 2),
        (lambda: Upsample(3, spatial_dims=1), lambda n: n // 3),
    ],
    ids=["input", "strided", "doubled", "tripled"],
)
def test_field_behind_adaptive_pooling_where_its_windows_repeat(size, left, before, needs):
    net = nn.Sequential(before(), AdaptivePool(left, spatial_dims=1), conv(3))
    assert receptive_field(net, (2, needs(size))) == (widest_gradient(net, needs(size)),)


def test_adaptive_pooling_to_one_sample_is_global():
    net = nn.Sequential(conv(3), conv(5, 2), AdaptivePool(1, spatial_dims=1))
    assert receptive_field(net, (2, 21)) == (7,)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_padding_per_side_leaves_the_field_as_it_is(dims):
    for kind, options in (("avg", {"count_padding": False}), ("max", {"dilation": 2})):
        sides = ((1, 0), (0, 1), (1, 1))[:dims]
        layer = Pool(2, kind=kind, stride=2, padding=sides, spatial_dims=dims, **options)
        net = nn.Sequential(layer, Norm(2, "lrn", spatial_dims=dims))
        field = 3 if kind == "max" else 2
        assert receptive_field(net, (2, *(7, 9, 11)[:dims])) == (field,) * dims


class ThereAndBack(nn.Module):
    """Down and up again, added to what sees as far, so that a wrong place widens the field."""

    def __init__(self, pool, up):
        super().__init__()
        self.pool, self.up = pool, up
        self.near = Conv(2, 2, 5, padding=2, spatial_dims=pool.spatial_dims)

    def forward(self, x):
        if isinstance(self.up, UpConv):
            return self.near(x) + self.up(self.pool(x))
        return self.near(x) + self.up(*self.pool(x), x.shape[2:])


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_max_unpooling_spreads_as_a_transposed_convolution(dims, padding):
    sizes = {"stride": 2, "padding": padding, "spatial_dims": dims}
    pool = Pool(3, return_indices=True, **sizes)
    found = receptive_field(ThereAndBack(pool, Unpool(pool=pool)), (2, *(7, 9, 11)[:dims]))
    up = UpConv(2, 2, 3, **sizes)
    assert found == receptive_field(ThereAndBack(Pool(3, **sizes), up), (2, *(7, 9, 11)[:dims]))
    assert found == (5,) * dims


@pytest.mark.parametrize("kind", ["nearest", "bed_of_nails"])
def test_other_unpooling_sees_exactly_where_gradients_arrive(kind):
    net = nn.Sequential(conv(3), Unpool(3, kind=kind, spatial_dims=1), conv(5))
    assert receptive_field(net, (2, 20)) == (widest_gradient(net, 20),)
