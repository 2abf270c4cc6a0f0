import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode

from convivo.architectures.create import create
from convivo.architectures.densenet import DenseBlock, DenseLayer, Recipe
from convivo.errors import ConfigError, ShapeError
from convivo.planning.receptive_field import receptive_field

from .state_layout import layout, normalised, shaken, written_out

DIMS = pytest.mark.parametrize("dims", [1, 2, 3])
BLOCKS = {
    "densenet121": (32, (6, 12, 24, 16)),
    "densenet161": (48, (6, 12, 36, 24)),
    "densenet169": (32, (6, 12, 32, 32)),
    "densenet201": (32, (6, 12, 48, 32)),
}


def small(dims=2, **settings):
    torch.manual_seed(0)
    settings = {"num_classes": 3, "growth_rate": 4, "stem": "small"} | settings
    return create("densenet121", spatial_dims=dims, **settings)


def batch(dims):
    size = (8, 9, 11)[:dims]
    return torch.randn(2, 1, *size, generator=torch.Generator().manual_seed(1))


def published_layout(k, blocks):
    channels = 2 * k
    shapes = {"features.conv0.weight": (channels, 3, 7, 7), "features.norm0": channels}
    for i, count in enumerate(blocks, 1):
        for j in range(1, count + 1):
            where = f"features.denseblock{i}.denselayer{j}"
            shapes |= {f"{where}.norm1": channels, f"{where}.norm2": 4 * k}
            shapes[f"{where}.conv1.weight"] = (4 * k, channels, 1, 1)
            shapes[f"{where}.conv2.weight"] = (k, 4 * k, 3, 3)
            channels += k
        if i < 4:
            where = f"features.transition{i}"
            shapes[f"{where}.norm"] = channels
            shapes[f"{where}.conv.weight"] = (channels // 2, channels, 1, 1)
            channels //= 2
    shapes |= {"features.norm5": channels, "classifier.weight": (1000, channels)}
    return written_out(shapes | {"classifier.bias": (1000,)})


@pytest.mark.parametrize("name", BLOCKS)
def test_densenet_state_has_the_published_layout(name):
    assert layout(name) == published_layout(*BLOCKS[name])


def by_its_numbers(state, x):
    def conv(x, name, **sizes):
        return F.conv2d(x, state[f"features.{name}.weight"], **sizes)

    def norm(x, name):
        return normalised(state, x, f"features.{name}")

    x = norm(conv(x, "conv0", stride=2, padding=3), "norm0")
    x = F.max_pool2d(x, 3, 2, 1)
    for i, count in enumerate(BLOCKS["densenet121"][1], 1):
        for j in range(1, count + 1):
            where = f"denseblock{i}.denselayer{j}"
            y = norm(conv(norm(x, f"{where}.norm1"), f"{where}.conv1"), f"{where}.norm2")
            x = torch.cat([x, conv(y, f"{where}.conv2", padding=1)], 1)
        if i < 4:
            x = conv(norm(x, f"transition{i}.norm"), f"transition{i}.conv")
            x = F.avg_pool2d(x, 2)
    x = norm(x, "norm5").mean((2, 3))
    return F.linear(x, state["classifier.weight"], state["classifier.bias"])


@pytest.mark.parametrize("memory_efficient", [False, True])
def test_densenet_computes_what_its_weights_say(memory_efficient):
    settings = {"in_channels": 3, "stem": "published", "memory_efficient": memory_efficient}
    net = shaken(small(**settings))
    x = torch.randn(2, 3, 65, 83, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(net(x), by_its_numbers(net.state_dict(), x))


def trained_step(dims, *, precision=torch.float32, **settings):
    """A network after one backward pass, its input's gradient, and the bytes kept for it."""
    net, x, kept, new = small(dims, **settings), batch(dims).requires_grad_(), [], []
    for layer in net.modules():
        if isinstance(layer, DenseLayer):
            layer.register_forward_hook(lambda _, i, out: new.append(out.nbytes))
    torch.manual_seed(7)  # of dropout

    def keep(tensor):
        kept.append(tensor.nbytes)
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with hooks, torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        loss = net(x).float().square().sum()
    loss.backward()
    return net, x.grad, sum(kept) + sum(new)


@DIMS
@pytest.mark.parametrize("settings", [{}, {"dropout": 0.2}, {"precision": torch.bfloat16}], ids=str)
def test_recomputing_changes_nothing_but_memory(settings, dims):
    plain, gradient, much = trained_step(dims, **settings)
    thrifty, same, little = trained_step(dims, memory_efficient=True, **settings)
    assert torch.equal(gradient, same)
    for (name, a), (_, b) in zip(plain.named_parameters(), thrifty.named_parameters(), strict=True):
        assert torch.equal(a.grad, b.grad), name
    for (name, a), (_, b) in zip(plain.named_buffers(), thrifty.named_buffers(), strict=True):
        assert torch.equal(a, b), name
    assert thrifty.features.denseblock2.denselayer1.norm2.num_batches_tracked == 1
    assert little < much / 2


@DIMS
@pytest.mark.parametrize("stem", ["published", "medium", "small"])
def test_densenet_features_are_the_last_at_each_resolution(stem, dims):
    net = small(dims, stem=stem).eval()
    x = torch.rand(1, 1, *(64, 32, 32)[:dims])
    features = net.features(x)
    finest = {"published": (2, 4, 8, 16, 32), "medium": (2, 4, 8, 16), "small": (1, 2, 4, 8)}
    assert net.feature_strides == tuple((s,) * dims for s in finest[stem])
    assert net.feature_channels[-4:] == (32, 64, 128, 128)
    assert net.feature_channels[:-4] == ((8,) if stem == "published" else ())
    for f, c, strides in zip(features, net.feature_channels, net.feature_strides, strict=True):
        assert f.shape[1:] == (c, *(n // s for n, s in zip(x.shape[2:], strides, strict=True)))
        assert f.min() == 0  # rectified
    assert torch.equal(net.features.last(x), features[-1])
    torch.testing.assert_close(net.classifier(features[-1].flatten(2).mean(2)), net(x))


def test_thick_slices_can_be_spared_by_the_stem_of_densenet():
    net = small(3, stem="published", stem_stride=(1, 2, 2)).eval()
    assert net.feature_strides[:2] == ((1, 2, 2), (1, 4, 4))
    assert net.features(torch.zeros(1, 1, 8, 32, 32))[1].shape[2:] == (8, 8, 8)


def test_width_scales_growth_and_stem():
    net = create("densenet161", width=0.25)
    assert net.features.conv0.out_channels == 24
    assert net.features.denseblock1.denselayer1.conv2.out_channels == 12
    assert net.features.denseblock1.denselayer1.conv1.out_channels == 48


def test_oldest_key_style_is_translated():
    net = small()
    state = net.state_dict()
    old = {}
    for key, tensor in state.items():
        for part in ("norm", "conv"):
            for i in "12":
                if "denselayer" in key:
                    key = key.replace(f".{part}{i}.", f".{part}.{i}.")
        old[key] = tensor
    assert old.keys() != state.keys()
    assert net.published_state(old).keys() == state.keys()
    assert net.published_state(state).keys() == state.keys()


@DIMS
def test_densenet_receptive_field_is_known(dims):
    # 7 and 3 of the stem; a block of n layers of 3 at stride s adds 2 n s, a pooling s
    field = 11 + 6 * 2 * 4 + 4 + 12 * 2 * 8 + 8 + 24 * 2 * 16 + 16 + 16 * 2 * 32
    net = small(dims, stem="published", growth_rate=1)
    assert receptive_field(net, (1, *(32, 33, 40)[:dims])) == (field,) * dims


def test_dropout_falls_on_every_layer_in_training_only():
    net, x = small(dropout=0.5), batch(2)
    layer = net.features.denseblock1.denselayer1
    ones = [torch.ones(2, 8, 9, 11)]
    dropped, whole = layer(ones), layer.eval()(ones)
    assert (dropped == 0).float().mean() > 0.3
    assert (whole == 0).float().mean() < 0.1
    assert torch.equal(net.eval()(x), net(x))


@DIMS
def test_memory_efficient_block_trains_on_shapes_alone(dims):
    recipe = Recipe(spatial_dims=dims, growth_rate=4, dropout=0.1, memory_efficient=True)
    with FakeTensorMode():
        block = DenseBlock(3, 8, recipe)
        block(torch.empty(2, 8, *(7, 9, 11)[:dims])).sum().backward()
    assert all(p.grad.shape == p.shape for p in block.parameters())


def test_memory_efficient_layer_compiles_without_a_break():
    layer = small(memory_efficient=True).features.denseblock1.denselayer2
    rows = [torch.rand(2, 8, 7, 9), torch.rand(2, 4, 7, 9)]
    expected, counted = layer(rows), layer.norm1.running_mean.clone()
    layer.norm1.running_mean.zero_()
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(rows), expected)
    torch.testing.assert_close(layer.norm1.running_mean, counted)


# torch's own, on copying an exported program
@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")
def test_memory_efficient_layer_can_be_exported():
    layer = small(memory_efficient=True).features.denseblock1.denselayer2.eval()
    rows = [torch.rand(2, 8, 7, 9), torch.rand(2, 4, 7, 9)]
    torch.testing.assert_close(torch.export.export(layer, (rows,)).module()(rows), layer(rows))


def test_input_densenet_cannot_halve_is_refused():
    rule = r"densenet: every axis needs at least \(29, 29\).*; got \(28, 90\).*to \(29, 90\)"
    net = small(stem="published")
    with pytest.raises(ShapeError, match=rule):
        net(torch.zeros(2, 1, 28, 90))
    assert net(torch.zeros(2, 1, 29, 30)).shape == (2, 3)
    with pytest.raises(ShapeError, match=r"Pad or resample to \(8,\)"):
        small(1)(torch.zeros(2, 1, 7))
    with pytest.raises(ShapeError, match=r"Pad or resample to \(15, 20\)"):
        small(stem="medium")(torch.zeros(2, 1, 14, 20))


def test_growth_of_nothing_is_refused():
    with pytest.raises(ConfigError, match=r"growth_rate: every layer adds at least one.*got 0"):
        small(growth_rate=0)


def test_unknown_stem_of_densenet_names_the_nearest():
    with pytest.raises(ConfigError, match=r"net\.stem: .*Did you mean 'medium'"):
        small(stem="mediun")
