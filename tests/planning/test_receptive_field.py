"""Receptive fields against published numbers, and against where gradients really arrive."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from convivo.architectures.create import create
from convivo.errors import ShapeError
from convivo.layers import Conv, Pool, UpConv, Upsample
from convivo.planning.receptive_field import receptive_field


class Residual(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        y = x.clone()
        y += self.inner(x)
        return F.relu(y)


class HourGlass(nn.Module):
    """Down, up, and the detail handed across; crops as valid convolutions need it."""

    def __init__(self, inner, factor):
        super().__init__()
        self.inner, self.factor = inner, factor
        self.down = Pool(factor, kind="avg", spatial_dims=1)
        self.up = UpConv(1, 1, factor, spatial_dims=1)

    def forward(self, x):
        deep = self.up(self.inner(self.down(x)))
        cut = (x.shape[2] - deep.shape[2]) // 2
        skip = x[..., cut : cut + deep.shape[2]]
        return torch.cat([skip, deep], dim=1).sum(1, keepdim=True)


def conv(kernel, stride=1, dilation=1):
    padding = dilation * (kernel - 1) // 2
    return Conv(1, 1, kernel, stride=stride, dilation=dilation, padding=padding, spatial_dims=1)


def steps(inner):
    plain = st.one_of(
        st.builds(conv, st.integers(1, 4), st.integers(1, 3), st.integers(1, 2)),
        st.builds(lambda k: Pool(k, kind="avg", spatial_dims=1), st.integers(2, 3)),
        st.builds(
            lambda k, s: UpConv(1, 1, k, stride=s, spatial_dims=1),
            st.integers(1, 4),
            st.integers(1, 3),
        ),
        st.builds(
            lambda f, kind: Upsample(f, kind=kind, spatial_dims=1),
            st.integers(1, 3),
            st.sampled_from(["nearest", "linear"]),
        ),
    )
    chains = st.lists(inner, min_size=1, max_size=2).map(lambda parts: nn.Sequential(*parts))
    return st.one_of(plain, chains)


def measured(net, size):
    """The widest span of non-zero gradients over output positions away from the borders."""
    torch.manual_seed(0)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.rand_like(p) + 0.1)
    x = torch.rand(1, 1, size, dtype=torch.float64).add_(1).requires_grad_()
    out = net.double()(x)
    widest, count = 0, out.shape[2]
    for place in range(3 * count // 8, 5 * count // 8):
        (gradient,) = torch.autograd.grad(out[0, 0, place], x, retain_graph=True)
        seen = gradient[0, 0].nonzero().flatten()
        if len(seen):
            widest = max(widest, int(seen[-1] - seen[0]) + 1)
    return widest


@given(st.lists(steps(st.builds(conv, st.sampled_from([1, 3]))), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_chains_see_exactly_where_gradients_arrive(parts):
    net = nn.Sequential(*parts)
    if any(isinstance(m, UpConv) and m.kernel_size[0] < m.stride[0] for m in net.modules()):
        return  # positions that see nothing but a bias, tested apart
    size = 360
    assert receptive_field(net, (1, size)) == (measured(net, size),)


@pytest.mark.parametrize(
    "net",
    [
        Residual(nn.Sequential(conv(3), conv(5, dilation=2))),
        nn.Sequential(conv(3, stride=2), Residual(conv(3)), Residual(conv(7))),
        HourGlass(nn.Sequential(conv(3), conv(3)), 2),
        HourGlass(HourGlass(conv(3), 3), 2),
        HourGlass(Conv(1, 1, 5, spatial_dims=1), 2),
        UpConv(1, 1, 1, stride=3, spatial_dims=1),
    ],
    ids=["residual", "strided", "hourglass", "nested", "cropped", "gaps"],
)
def test_joins_see_exactly_where_gradients_arrive(net):
    assert receptive_field(net, (1, 120)) == (measured(net, 120),)


@pytest.mark.parametrize(
    ("name", "field"), [("resnet18", 435), ("resnet34", 899), ("resnet50", 427)]
)
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_residual_networks_before_global_pooling(name, field, dims):
    with torch.device("meta"):
        net = create(name, spatial_dims=dims, in_channels=3, num_classes=1000)
    assert receptive_field(net, (3, *(224,) * dims)) == (field,) * dims


def test_lenet_before_flattening_and_mlp_all_of_it():
    assert receptive_field(create("lenet5", input_size=28), (1, 28, 28)) == (16, 16)
    assert receptive_field(create("mlp", input_size=(7, 9)), (1, 7, 9)) == (7, 9)


def test_uneven_strides_give_uneven_fields():
    net = create("resnet18", spatial_dims=3, stem_stride=(1, 2, 2), width=0.1)
    slices, rows, columns = receptive_field(net, (1, 16, 64, 64))
    assert rows == columns == 435
    assert slices < rows


def test_deeper_unet_sees_more():
    fields = [receptive_field(create("unet", levels=n), (1, 64, 64)) for n in (2, 3, 4)]
    assert fields == sorted(fields)
    assert fields[0] < fields[2]


def test_foreign_modules_are_understood():
    net = nn.Sequential(
        nn.ConstantPad2d(2, 0.0),
        nn.Conv2d(3, 8, 3, padding="same", padding_mode="reflect"),
        nn.BatchNorm2d(8),
        nn.AvgPool2d(2),
        nn.GroupNorm(2, 8),
        nn.Dropout2d(0.1),
        nn.MaxPool2d(3, 1, 1),
        nn.Softmax(dim=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 2),
    )
    assert receptive_field(net, (3, 12, 20)) == (8, 8)


def test_squeeze_and_excitation_does_not_count_as_seeing_everything():
    class Excite(nn.Module):
        def forward(self, x):
            return x * torch.sigmoid(F.adaptive_avg_pool2d(x, 1))

    assert receptive_field(nn.Sequential(nn.Conv2d(1, 4, 5), Excite()), (1, 9, 11)) == (5, 5)


@pytest.mark.parametrize(
    "function", [lambda x: torch.fft.fft(x).real, lambda x: x.cumsum(-1)], ids=["fourier", "sum"]
)
def test_unknown_function_makes_the_field_unknown(function):
    class Odd(nn.Module):
        def forward(self, x):
            return function(x)

    assert receptive_field(nn.Sequential(nn.Conv1d(1, 1, 3), Odd()), (1, 20)) is None


def test_paths_of_unequal_step_are_unknown():
    class Mismatch(nn.Module):
        def forward(self, x):
            return x[..., ::2] + x[..., :10]

    assert receptive_field(Mismatch(), (1, 20)) is None


def test_network_is_left_as_it_was():
    net = create("resnet18", width=0.125).train()
    net.table = torch.ones(3)  # a tensor that is no parameter
    before = {key: value.clone() for key, value in net.state_dict().items()}
    receptive_field(net, (1, 64, 64))
    assert net.training
    assert not net.table.is_meta
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert not net._forward_pre_hooks


def test_input_a_foreign_network_cannot_take_is_named():
    with pytest.raises(ShapeError, match=r"Sequential: the network must take .* shape \(1, 3, 9"):
        receptive_field(nn.Sequential(nn.Conv2d(1, 4, 5)), (3, 9, 11))
