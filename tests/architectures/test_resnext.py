import pytest
import torch
import torch.nn.functional as F

from convivo.architectures.create import create, options
from convivo.errors import ConfigError, ShapeError

from .state_layout import layout, normalised, shaken, written_out

DIMS = pytest.mark.parametrize("dims", [1, 2, 3])


def published_layout(blocks, group_width, cardinality=32):
    shapes, ins = {"conv1.weight": (64, 3, 7, 7), "bn1": 64}, 64
    for stage, count in enumerate(blocks):
        path, outs = group_width * 2**stage, 256 * 2**stage
        inner = path * cardinality
        for block in range(count):
            where = f"layer{stage + 1}.{block}."
            shapes |= {f"{where}conv1.weight": (inner, ins, 1, 1), f"{where}bn1": inner}
            shapes |= {f"{where}conv2.weight": (inner, path, 3, 3), f"{where}bn2": inner}
            shapes |= {f"{where}conv3.weight": (outs, inner, 1, 1), f"{where}bn3": outs}
            if block == 0:
                shapes[f"{where}downsample.0.weight"] = (outs, ins, 1, 1)
                shapes[f"{where}downsample.1"] = outs
            ins = outs
    return written_out(shapes | {"fc.weight": (1000, 2048), "fc.bias": (1000,)})


@pytest.mark.parametrize(
    ("name", "blocks", "group_width"),
    [("resnext50_32x4d", (3, 4, 6, 3), 4), ("resnext101_32x8d", (3, 4, 23, 3), 8)],
)
def test_resnext_state_has_the_published_layout(name, blocks, group_width):
    assert layout(name) == published_layout(blocks, group_width)
    assert options(name)["group_width"] == group_width


def test_one_path_of_64_channels_is_a_residual_network():
    assert layout("resnext50_32x4d", cardinality=1, group_width=64) == layout("resnet50")


def paths_added_up(state, x, where, stride, cardinality):
    """The paper's figure 3a: each path has a 1, a 3 and a 1 of its own, and all are summed."""
    convs = [state[f"{where}conv{i}.weight"] for i in (1, 2, 3)]
    scale = state[f"{where}bn3.weight"] / (state[f"{where}bn3.running_var"] + 1e-5).sqrt()
    shift = state[f"{where}bn3.bias"] - scale * state[f"{where}bn3.running_mean"]
    width = convs[1].shape[1]
    total = 0
    for path in range(cardinality):
        own = slice(path * width, (path + 1) * width)

        def norm(y, name, own=own):
            rows = {f"n.{k}": state[f"{where}{name}.{k}"][own] for k in ROWS}
            return normalised(rows, y, "n")

        y = norm(F.conv2d(x, convs[0][own]), "bn1")
        y = norm(F.conv2d(y, convs[1][own], stride=stride, padding=1), "bn2")
        total = total + F.conv2d(y, convs[2][:, own])
    return total * scale.view(-1, 1, 1) + shift.view(-1, 1, 1)


ROWS = ("running_mean", "running_var", "weight", "bias")


def test_grouped_bottleneck_is_the_sum_of_its_paths():
    torch.manual_seed(0)
    net = create("resnext50_32x4d", width=0.25, cardinality=3, group_width=8, shortcuts=False)
    net = shaken(net)
    x = torch.randn(2, 64, 7, 9, generator=torch.Generator().manual_seed(0))
    block = net.layer2[0]
    expected = F.relu(paths_added_up(net.state_dict(), x, "layer2.0.", 2, cardinality=3))
    torch.testing.assert_close(block(x), expected)


def test_resnext_adds_its_input_as_residual_networks_do():
    torch.manual_seed(0)
    net = shaken(create("resnext50_32x4d", width=0.125, cardinality=4))
    x = torch.rand(2, 32, 7, 9)
    state = net.state_dict()
    expected = F.relu(x + paths_added_up(state, x, "layer1.1.", 1, cardinality=4))
    torch.testing.assert_close(net.layer1[1](x), expected)


@DIMS
@pytest.mark.parametrize("width", [0.05, 0.3, 1.5])
def test_width_keeps_the_cardinality(width, dims):
    with torch.device("meta"):
        net = create("resnext50_32x4d", spatial_dims=dims, width=width)
    for stage in (net.layer1, net.layer2, net.layer3, net.layer4):
        assert stage[0].conv2.groups == 32
    path = [p.conv2.weight.shape[1] for p in (net.layer1[0], net.layer4[0])]
    assert path == {0.05: [1, 2], 0.3: [1, 10], 1.5: [6, 48]}[width]


@DIMS
def test_resnext_features_tell_their_channels_and_strides(dims):
    net = create("resnext50_32x4d", spatial_dims=dims, width=0.125).eval()
    x = torch.zeros(1, 1, *(64, 32, 96)[:dims])
    shapes = [tuple(f.shape[1:]) for f in net.features(x)]
    rows = zip(net.feature_channels, net.feature_strides, strict=True)
    grids = [
        (c, *(n // s for n, s in zip(x.shape[2:], strides, strict=True))) for c, strides in rows
    ]
    assert shapes == grids
    assert len(shapes) == 5


@pytest.mark.parametrize("option", [{"cardinality": 0}, {"group_width": -4}])
def test_paths_of_nothing_are_refused(option):
    with pytest.raises(ConfigError, match=r"net\.cardinality: at least one path.*; got card"):
        create("resnext50_32x4d", **option)


def test_resnext_speaks_of_itself():
    rule = r"resnext: every axis needs at least \(5, 5\).*got \(4, 90\).*resample to \(5, 90\)"
    with pytest.raises(ShapeError, match=rule):
        create("resnext50_32x4d", width=0.1)(torch.zeros(2, 1, 4, 90))
    with pytest.raises(ConfigError, match=r"net\.zero_init: .*got norm='none', shortcuts=True"):
        create("resnext50_32x4d", width=0.1, zero_init=True, norm="none")
