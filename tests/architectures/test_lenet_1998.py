import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from convivo.architectures.create import create
from convivo.architectures.lenet_1998 import (
    NearestCode,
    Subsampling,
    TableConv,
    connections,
    digit_codes,
)
from convivo.errors import ShapeError

DIMS = pytest.mark.parametrize("dims", [1, 2, 3])
# the paper's table I, row by row: the maps of C3 that see each map of S2
SEEN_BY = (
    (0, 4, 5, 6, 9, 10, 11, 12, 14, 15),
    (0, 1, 5, 6, 7, 10, 11, 12, 13, 15),
    (0, 1, 2, 6, 7, 8, 11, 13, 14, 15),
    (1, 2, 3, 6, 7, 8, 9, 12, 14, 15),
    (2, 3, 4, 7, 8, 9, 10, 12, 13, 15),
    (3, 4, 5, 8, 9, 10, 11, 13, 14, 15),
)


def lenet(dims=2, classes=10, size=32, **settings):
    torch.manual_seed(0)
    return create(
        "lenet5_1998", spatial_dims=dims, num_classes=classes, input_size=size, **settings
    )


def randn(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@DIMS
def test_each_layer_has_the_published_number_of_parameters(dims):
    with torch.device("meta"):
        net = lenet(dims)
    rows = [sum(p.numel() for p in part.parameters()) for part in net.children()]
    expected = {
        1: [0, 36, 12, 316, 32, 9_720, 10_164, 0],
        2: [0, 156, 12, 1_516, 32, 48_120, 10_164, 0],
        3: [0, 756, 12, 7_516, 32, 240_120, 10_164, 0],
    }
    assert rows == expected[dims]


def test_table_is_the_one_of_the_paper():
    table = connections(6, 16)
    seen = [tuple(j for j, row in enumerate(table) if i in row) for i in range(6)]
    assert tuple(seen) == SEEN_BY


@pytest.mark.parametrize("width", [0.01, 0.1, 0.25, 0.5, 0.75, 1.5, 2, 3])
def test_stretched_table_leaves_no_map_alone(width):
    ins, outs = max(1, round(6 * width)), max(1, round(16 * width))
    table = connections(ins, outs)
    assert len(table) == outs
    assert all(table)
    assert set(itertools.chain(*table)) == set(range(ins))


def test_table_of_twice_the_maps_has_the_published_density():
    assert sum(map(len, connections(12, 32))) == 4 * 60


@DIMS
def test_table_convolution_sums_the_connected_maps_only(dims):
    torch.manual_seed(0)
    layer = TableConv(connections(6, 16), 6, spatial_dims=dims).double()
    x = randn(2, 6, *(7, 9, 11)[:dims]).double()
    kernels = torch.cat([g.weight.flatten(0, 1) for g in layer.groups])
    biases = torch.cat([g.bias for g in layer.groups])
    correlate = (F.conv1d, F.conv2d, F.conv3d)[dims - 1]
    expected, at = [], 0
    for j in range(16):
        total = biases[j]
        for i in [i for i in range(6) if j in SEEN_BY[i]]:
            total = total + correlate(x[:, i : i + 1], kernels[at][None, None])
            at += 1
        expected.append(total)
    assert at == 60
    torch.testing.assert_close(layer(x), torch.cat(expected, 1))


@DIMS
def test_table_convolution_sends_gradients_along_connections_only(dims):
    layer = TableConv(connections(6, 16), 6, spatial_dims=dims)
    x = randn(1, 6, *(5,) * dims).requires_grad_()
    for j in range(16):
        (gradient,) = torch.autograd.grad(layer(x)[:, j].sum(), x)
        seen = gradient.flatten(2).abs().sum((0, 2)) > 0
        assert seen.tolist() == [j in row for row in SEEN_BY]


@DIMS
def test_subsampling_weighs_the_sum_of_each_window(dims):
    layer = Subsampling(3, spatial_dims=dims)
    with torch.no_grad():
        layer.weight.copy_(randn(*layer.weight.shape))
        layer.bias.copy_(randn(*layer.bias.shape, seed=2))
    x = randn(2, 3, *(7, 9, 11)[:dims])
    out, given = layer(x).detach().numpy(), x.numpy()
    assert out.shape[2:] == (3, 4, 5)[:dims]
    for n, c in np.ndindex(2, 3):
        for place in np.ndindex(*out.shape[2:]):
            total = sum(
                given[(n, c, *(2 * p + o for p, o in zip(place, offset, strict=True)))]
                for offset in itertools.product((0, 1), repeat=dims)
            )
            expected = total * layer.weight[c].item() + layer.bias[c].item()
            assert out[(n, c, *place)] == pytest.approx(expected, abs=1e-5)


def test_output_is_minus_the_squared_distance_to_each_code():
    x = randn(5, 84)
    codes = digit_codes().numpy()
    expected = [[-np.sum((row - code) ** 2) for code in codes] for row in x.numpy()]
    torch.testing.assert_close(NearestCode()(x), torch.tensor(np.array(expected)))


def test_every_code_is_nearest_to_itself_by_far():
    codes = digit_codes()
    assert set(codes.flatten().tolist()) == {-1.0, 1.0}
    differing = (codes[:, None] != codes).sum(-1) + 84 * torch.eye(10)
    assert differing.min() >= 12
    assert NearestCode()(codes).argmax(1).tolist() == list(range(10))


def test_cross_entropy_on_minus_distances_is_the_loss_of_the_paper_without_its_constant():
    distances, target = randn(4, 10).square(), torch.tensor([3, 1, 4, 1])
    right = distances[torch.arange(4), target]
    equation_9 = (right + torch.log(torch.exp(-distances).sum(1))).mean()
    torch.testing.assert_close(F.cross_entropy(-distances, target), equation_9)


def test_codes_are_stored_but_not_trained():
    net = lenet()
    assert "output.codes" in net.state_dict()
    assert not [n for n, _ in net.named_parameters() if n.startswith("output")]
    net(randn(2, 1, 32, 32)).sum().backward()
    assert torch.equal(net.output.codes, digit_codes())


def test_other_numbers_of_classes_end_in_a_linear_layer():
    net = lenet(classes=4, width=0.5)
    assert net.output.weight.shape == (4, 42)
    assert lenet(width=0.5).f6.out_features == 84  # as the codes


def test_network_computes_what_the_paper_says():
    net, x = lenet().double(), randn(2, 1, 32, 32).double()

    def squash(z):
        return 1.7159 * torch.tanh(2 / 3 * z)

    def subsample(z, layer):
        return squash(4 * F.avg_pool2d(z, 2) * layer.weight + layer.bias)

    y = subsample(squash(F.conv2d(x, net.c1.weight, net.c1.bias)), net.s2)
    y = subsample(squash(net.c3(y)), net.s4)
    y = squash(F.linear(y.flatten(1), net.c5.weight.flatten(1), net.c5.bias))
    y = squash(F.linear(y, net.f6.weight, net.f6.bias))
    torch.testing.assert_close(net(x), -(torch.cdist(y, net.output.codes.double()) ** 2))


@DIMS
def test_features_are_the_last_tensor_at_each_resolution(dims):
    net = lenet(dims, size=(32, 36, 40)[:dims])
    outputs = net.features(randn(1, 1, *(32, 36, 40)[:dims]))
    sizes = [(28, 32, 36), (10, 12, 14), (5, 6, 7)]
    assert [tuple(o.shape[2:]) for o in outputs] == [s[:dims] for s in sizes]
    assert tuple(o.shape[1] for o in outputs) == net.feature_channels == (6, 16, 16)
    assert net.feature_strides == tuple((s,) * dims for s in (1, 2, 4))


@DIMS
def test_starting_weights_fill_the_range_of_the_paper(dims):
    net = lenet(dims, width=2)
    fans = {"c1": 5**dims, "s2": 2**dims, "s4": 2**dims, "f6": 240}
    for name, fan in fans.items():
        largest = net.get_parameter(f"{name}.weight").abs().max().item()
        assert 0.5 * 2.4 / fan < largest <= 2.4 / fan
    for group in net.c3.groups:
        fan = group.weight[0].numel()
        assert 0.5 * 2.4 / fan < group.weight.abs().max().item() <= 2.4 / fan
    assert all(not p.any() for n, p in net.named_parameters() if n.endswith("bias"))


def test_fan_in_of_the_table_is_the_number_of_its_connections():
    groups = lenet().c3.groups
    assert [tuple(g.weight.shape) for g in groups] == [(6, 3, 5, 5), (9, 4, 5, 5), (1, 6, 5, 5)]


@pytest.mark.parametrize("size", [(16, 16), (17, 31), (32, 48)])
def test_any_size_from_sixteen_on(size):
    assert lenet(size=size)(torch.zeros(1, 1, *size)).shape == (1, 10)


def test_short_axis_is_named_with_the_nearest_size():
    message = r"lenet5_1998: .*behind S4; got \(32, 15\)\. Pad or resample to \(32, 16\)\."
    with pytest.raises(ShapeError, match=message):
        lenet(size=(32, 15))


def test_another_size_than_the_one_created_for_names_both():
    rule = r"created for inputs of size \(32, 32\); got \(32, 34\)\. Resample to \(32, 32\)"
    with pytest.raises(ShapeError, match=rule):
        lenet()(torch.zeros(1, 1, 32, 34))
