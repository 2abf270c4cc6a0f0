import pytest
import torch
import torch.nn.functional as F

from convivo.architectures.create import create, options
from convivo.errors import ConfigError, ShapeError
from convivo.layers import Dropout

DEPTHS = {
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
CHANNELS = (64, 128, 256, 512, 512)
DIMS = pytest.mark.parametrize("dims", [1, 2, 3])
SIZE = (33, 47, 64)


def small(name="vgg11", dims=2, **settings):
    torch.manual_seed(0)
    settings = {"in_channels": 2, "num_classes": 3, "width": 1 / 16} | settings
    return create(name, spatial_dims=dims, **settings)


def batch(dims, size=SIZE):
    return torch.randn(2, 2, *size[:dims], generator=torch.Generator().manual_seed(1))


def published_layout(depths, normalized):
    """Names and shapes in the widely published state dicts, written out from their rule."""
    shapes, at, ins = {}, 0, 3
    for count, outs in zip(depths, CHANNELS, strict=True):
        for _ in range(count):
            shapes[f"features.{at}.weight"] = (outs, ins, 3, 3)
            shapes[f"features.{at}.bias"] = (outs,)
            if normalized:
                for key in ("weight", "bias", "running_mean", "running_var"):
                    shapes[f"features.{at + 1}.{key}"] = (outs,)
                shapes[f"features.{at + 1}.num_batches_tracked"] = ()
            at, ins = at + (3 if normalized else 2), outs
        at += 1
    rows = zip((0, 3, 6), (25088, 4096, 4096), (4096, 4096, 1000), strict=True)
    for at, ins, outs in rows:
        shapes |= {f"classifier.{at}.weight": (outs, ins), f"classifier.{at}.bias": (outs,)}
    return shapes


@pytest.mark.parametrize("suffix", ["", "_bn"])
@pytest.mark.parametrize("name", DEPTHS)
def test_vgg_state_dict_has_the_published_layout(name, suffix):
    with torch.device("meta"):
        net = create(name + suffix, in_channels=3, num_classes=1000)
    expected = published_layout(DEPTHS[name], suffix == "_bn")
    assert {k: tuple(v.shape) for k, v in net.state_dict().items()} == expected


def test_vgg16_has_the_parameters_of_the_paper_in_each_part():
    with torch.device("meta"):
        net = create("vgg16", in_channels=3, num_classes=1000)
    parts = [sum(p.numel() for p in part.parameters()) for part in (net.features, net.classifier)]
    assert parts == [14_714_688, 123_642_856]
    convs = [p.numel() for n, p in net.features.named_parameters() if n.endswith("weight")]
    assert convs[:4] == [1_728, 36_864, 73_728, 147_456]


@pytest.mark.parametrize("name", ["vgg16", "vgg11_bn"])
def test_vgg_computes_what_its_weights_say(name):
    net, x = small(name).double().eval(), batch(2).double()
    s, layer, expected = net.state_dict(), 0, x
    for count in DEPTHS[name.removesuffix("_bn")]:
        for _ in range(count):
            at = f"features.{layer}."
            expected = F.conv2d(expected, s[at + "weight"], s[at + "bias"], padding=1)
            if name.endswith("_bn"):
                at, layer = f"features.{layer + 1}.", layer + 1
                rows = [s[at + k] for k in ("running_mean", "running_var", "weight", "bias")]
                expected = F.batch_norm(expected, *rows)
            expected, layer = F.relu(expected), layer + 2
        expected, layer = F.max_pool2d(expected, 2), layer + 1
    expected = F.adaptive_avg_pool2d(expected, 7).flatten(1)
    for at in (0, 3, 6):
        expected = F.linear(expected, s[f"classifier.{at}.weight"], s[f"classifier.{at}.bias"])
        expected = F.relu(expected) if at < 6 else expected
    torch.testing.assert_close(net(x), expected)


@DIMS
def test_vgg_features_are_the_last_tensor_at_each_resolution(dims):
    net = small("vgg13_bn", dims).eval()
    x = batch(dims)
    outputs = net.features(x)
    assert net.feature_channels == (4, 8, 16, 32, 32, 32)
    assert net.feature_strides == tuple((s,) * dims for s in (1, 2, 4, 8, 16, 32))
    for out, channels, stride in zip(
        outputs, net.feature_channels, net.feature_strides, strict=True
    ):
        grid = tuple(n // s for n, s in zip(SIZE[:dims], stride, strict=True))
        assert out.shape == (2, channels, *grid)
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[dims - 1]
    torch.testing.assert_close(outputs[-1], pool(outputs[-2], 2))
    assert torch.equal(outputs[-1], net.features.last(x))
    assert all(out.min() >= 0 for out in outputs)  # behind the ReLU


@DIMS
def test_vgg_without_a_head_ends_in_the_last_grid(dims):
    net = small("vgg16", dims, head="none").eval()
    x = batch(dims)
    assert not [n for n, _ in net.named_parameters() if n.startswith("classifier")]
    assert torch.equal(net(x), net.features(x)[-1])


@DIMS
def test_vgg_with_a_pooled_head_is_a_linear_layer_on_averages(dims):
    net = small("vgg11", dims, head="pooled").eval()
    x = batch(dims)
    weight, bias = net.classifier[1].weight, net.classifier[1].bias
    averages = net.features(x)[-1].flatten(2).mean(2)
    torch.testing.assert_close(net(x), F.linear(averages, weight, bias))


def test_vgg_takes_published_weights_without_the_linear_layers_it_has_not():
    state = small("vgg11").state_dict()
    for head, kept in (("published", len(state)), ("pooled", 16), ("none", 16)):
        assert len(small("vgg11", head=head).published_state(state)) == kept
    bare = small("vgg11", head="none")
    assert not bare.load_state_dict(bare.published_state(state)).missing_keys


def test_vgg_drops_hidden_units_in_training_only():
    x = batch(2)
    net = small("vgg11", dropout=0.5)
    assert not torch.equal(net(x), net(x))
    assert torch.equal(net.eval()(x), net(x))
    steady = small("vgg11", dropout=0.0)
    assert torch.equal(steady(x), steady(x))
    assert [i for i, m in enumerate(net.classifier) if isinstance(m, Dropout)] == [2, 5]


@DIMS
def test_vgg_starts_with_the_weights_of_he(dims):
    net = small("vgg11", dims, width=0.25)
    for name, weight in net.named_parameters():
        if name.endswith("bias"):
            assert not weight.any()
        elif weight.numel() > 1000:
            expected = (2 / weight[0].numel()) ** 0.5
            torch.testing.assert_close(weight.std().item(), expected, rtol=0.1, atol=0)


@DIMS
def test_vgg_takes_32_samples_per_axis_and_names_it(dims):
    net = small("vgg11_bn", dims).eval()
    assert net(torch.zeros(1, 2, *(32,) * dims)).shape == (1, 3)
    short = (31, 40, 32)[:dims]
    need = ", ".join(str(max(32, n)) for n in short)
    message = rf"vgg: every axis needs at least .*five poolings; .*resample to \({need},?\)\."
    with pytest.raises(ShapeError, match=message):
        net(torch.zeros(1, 2, *short))
    with pytest.raises(ShapeError, match=message):
        create("vgg16", spatial_dims=dims, input_size=short, width=1 / 16)


def test_vgg_refuses_an_unknown_head():
    with pytest.raises(ConfigError, match=r"net\.head: one of published, pooled, none; got 'pool'"):
        small("vgg11", head="pool")


def test_vgg_names_its_options():
    expected = {"norm": "none", "head": "published", "dropout": 0.5}
    assert options("vgg16") == expected
    assert options("vgg16_bn") == expected | {"norm": "batch"}
