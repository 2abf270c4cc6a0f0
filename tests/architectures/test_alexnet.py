import pytest
import torch
import torch.nn.functional as F

from convivo.architectures.create import create, options
from convivo.errors import ConfigError, ShapeError
from convivo.layers import Conv, Dropout

DIMS = pytest.mark.parametrize("dims", [1, 2, 3])
TOWERS = pytest.mark.parametrize("towers", [1, 2])
SIZE = (63, 79, 71)
# convolution -> inputs, filters, kernel, groups; as published, and in two towers
CONVS = {
    1: ((3, 64, 11, 1), (64, 192, 5, 1), (192, 384, 3, 1), (384, 256, 3, 1), (256, 256, 3, 1)),
    2: ((3, 96, 11, 1), (96, 256, 5, 2), (256, 384, 3, 1), (384, 384, 3, 2), (384, 256, 3, 2)),
}
FEATURES = {1: (0, 3, 6, 8, 10), 2: (0, 4, 8, 10, 12)}
CLASSIFIER = {1: (1, 4, 6), 2: (0, 3, 6)}


def small(dims=2, **settings):
    torch.manual_seed(0)
    settings = {"in_channels": 2, "num_classes": 3, "width": 1 / 32} | settings
    return create("alexnet", spatial_dims=dims, **settings)


def batch(dims):
    return torch.randn(2, 2, *SIZE[:dims], generator=torch.Generator().manual_seed(1))


@TOWERS
def test_alexnet_state_dict_has_the_layout_of_its_form(towers):
    with torch.device("meta"):
        net = create("alexnet", in_channels=3, num_classes=1000, towers=towers)
    expected = {}
    for at, (ins, outs, k, groups) in zip(FEATURES[towers], CONVS[towers], strict=True):
        expected[f"features.{at}.weight"] = (outs, ins // groups, k, k)
        expected[f"features.{at}.bias"] = (outs,)
    rows = zip(CLASSIFIER[towers], (9216, 4096, 4096), (4096, 4096, 1000), strict=True)
    for at, ins, outs in rows:
        expected |= {f"classifier.{at}.weight": (outs, ins), f"classifier.{at}.bias": (outs,)}
    assert {k: tuple(v.shape) for k, v in net.state_dict().items()} == expected


def normalized(x, k=2.0, n=5, alpha=1e-4, beta=0.75):
    """The paper's response normalization, one map after the other."""
    maps = x.shape[1]
    rows = []
    for i in range(maps):
        near = x[:, max(0, i - n // 2) : min(maps, i + n // 2 + 1)]
        rows.append(x[:, i] / (k + alpha * near.square().sum(1)) ** beta)
    return torch.stack(rows, 1)


@TOWERS
def test_alexnet_computes_what_its_weights_say(towers):
    net = small(towers=towers, width=1 / 16).double().eval()
    x = 20 * batch(2).double()  # far enough from zero for the normalization to bite
    s, expected = net.state_dict(), x
    for i, at in enumerate(FEATURES[towers]):
        weight, bias = s[f"features.{at}.weight"], s[f"features.{at}.bias"]
        stride, padding = ((4, 2), (1, 2), (1, 1), (1, 1), (1, 1))[i]
        groups = CONVS[towers][i][3]
        expected = F.relu(F.conv2d(expected, weight, bias, stride, padding, groups=groups))
        expected = normalized(expected) if towers == 2 and i < 2 else expected
        expected = F.max_pool2d(expected, 3, 2) if i in (0, 1, 4) else expected
    expected = F.adaptive_avg_pool2d(expected, 6).flatten(1)
    for at in CLASSIFIER[towers]:
        expected = F.linear(expected, s[f"classifier.{at}.weight"], s[f"classifier.{at}.bias"])
        expected = F.relu(expected) if at < 6 else expected
    torch.testing.assert_close(net(x), expected)


@DIMS
@TOWERS
def test_alexnet_features_are_the_last_tensor_at_each_resolution(dims, towers):
    net = small(dims, towers=towers).eval()
    outputs = net.features(batch(dims))
    sizes = [(15, 19, 17), (7, 9, 8), (3, 4, 3), (1, 1, 1)]
    assert [tuple(o.shape[2:]) for o in outputs] == [s[:dims] for s in sizes]
    assert tuple(o.shape[1] for o in outputs) == net.feature_channels
    assert net.feature_strides == tuple((s,) * dims for s in (4, 8, 16, 32))
    assert torch.equal(outputs[-1], net.features.last(batch(dims)))


@pytest.mark.parametrize("at", [3, 9, 11])
def test_towers_do_not_see_each_other_where_they_are_apart(at):
    convs = [m for m in small(towers=2, width=0.125).features if isinstance(m, Conv)]
    conv = {3: convs[1], 9: convs[3], 11: convs[4]}[at]
    x = torch.randn(1, conv.in_channels, 5, 5, requires_grad=True)
    (gradient,) = torch.autograd.grad(conv(x)[:, : conv.out_channels // 2].sum(), x)
    half = conv.in_channels // 2
    assert gradient[:, :half].all()
    assert not gradient[:, half:].any()


def test_towers_stay_equal_at_any_width():
    for width in (0.01, 0.1, 0.3, 0.77, 1.5):
        with torch.device("meta"):
            net = create("alexnet", towers=2, width=width)
        assert all(channels % 2 == 0 for channels in net.feature_channels)


def test_two_towers_start_as_in_the_paper():
    net = small(towers=2, width=0.25)
    weights = [p for n, p in net.named_parameters() if n.endswith("weight") and p.numel() > 1000]
    assert all(0.009 < w.std().item() < 0.011 for w in weights)
    biases = [p for n, p in net.named_parameters() if n.endswith("bias")]
    assert [b.unique().tolist() for b in biases] == [[b] for b in (0, 1, 0, 1, 1, 1, 1, 0)]


@DIMS
def test_one_tower_starts_with_the_weights_of_he(dims):
    for name, weight in small(dims, width=0.125).named_parameters():
        if name.endswith("bias"):
            assert not weight.any()
        elif weight.numel() > 1000:
            expected = (2 / weight[0].numel()) ** 0.5
            torch.testing.assert_close(weight.std().item(), expected, rtol=0.15, atol=0)


@TOWERS
def test_alexnet_drops_values_in_training_only(towers):
    net, x = small(towers=towers), batch(2)
    assert not torch.equal(net(x), net(x))
    assert torch.equal(net.eval()(x), net(x))
    steady = small(towers=towers, dropout=0.0)
    assert torch.equal(steady(x), steady(x))
    places = [i for i, m in enumerate(net.classifier) if isinstance(m, Dropout)]
    assert places == {1: [0, 3], 2: [2, 5]}[towers]


@DIMS
def test_alexnet_takes_63_samples_per_axis_and_names_it(dims):
    net = small(dims).eval()
    assert net(torch.zeros(1, 2, *(63,) * dims)).shape == (1, 3)
    short = (62, 70, 63)[:dims]
    need = ", ".join(str(max(63, n)) for n in short)
    message = rf"alexnet: every axis needs at least .*three poolings; .*to \({need},?\)\."
    with pytest.raises(ShapeError, match=message):
        net(torch.zeros(1, 2, *short))
    with torch.device("meta"), pytest.raises(ShapeError, match=message):
        create("alexnet", spatial_dims=dims, input_size=short, width=1 / 32)


def test_sixty_two_samples_would_leave_nothing():
    net = small()
    with pytest.raises(ShapeError, match="no axis may be shorter than the window"):
        net.features(torch.zeros(1, 2, 63, 62))


@pytest.mark.parametrize("towers", [0, 3])
def test_other_numbers_of_towers_are_refused(towers):
    with pytest.raises(ConfigError, match=rf"net\.towers: one tower or two; got {towers}"):
        small(towers=towers)


def test_alexnet_names_its_options():
    assert options("alexnet") == {"towers": 1, "dropout": 0.5}
