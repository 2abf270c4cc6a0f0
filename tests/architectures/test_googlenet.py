import pytest
import torch
import torch.nn.functional as F

from convivo.architectures.create import create
from convivo.architectures.googlenet import Inception, Recipe
from convivo.errors import ConfigError, ShapeError
from convivo.planning.receptive_field import receptive_field

from .state_layout import layout, normalised, shaken, written_out

DIMS = pytest.mark.parametrize("dims", [1, 2, 3])
SIZE = (33, 40, 32)
# the paper's table 1, written the other way round: module -> (1 x 1; 3 x 3; 5 x 5; pooling)
TABLE = {
    "3a": ((64,), (96, 128), (16, 32), (32,)),
    "3b": ((128,), (128, 192), (32, 96), (64,)),
    "4a": ((192,), (96, 208), (16, 48), (64,)),
    "4b": ((160,), (112, 224), (24, 64), (64,)),
    "4c": ((128,), (128, 256), (24, 64), (64,)),
    "4d": ((112,), (144, 288), (32, 64), (64,)),
    "4e": ((256,), (160, 320), (32, 128), (128,)),
    "5a": ((256,), (160, 320), (32, 128), (128,)),
    "5b": ((384,), (192, 384), (48, 128), (128,)),
}


def small(dims=2, **settings):
    torch.manual_seed(0)
    settings = {"in_channels": 2, "num_classes": 3, "width": 0.125} | settings
    return create("googlenet", spatial_dims=dims, **settings)


def batch(dims, channels=2):
    return torch.randn(2, channels, *SIZE[:dims], generator=torch.Generator().manual_seed(1))


def conv_norm(key, ins, outs, kernel):
    return {f"{key}.conv.weight": (outs, ins, kernel, kernel), f"{key}.bn": outs}


def published_layout(widest, aux):
    shapes = conv_norm("conv1", 3, 64, 7) | conv_norm("conv2", 64, 64, 1)
    shapes |= conv_norm("conv3", 64, 192, 3)
    ins, outs_of = 192, {}
    for name, ((one,), (before3, three), (before5, five), (projected,)) in TABLE.items():
        key = f"inception{name}.branch"
        shapes |= conv_norm(f"{key}1", ins, one, 1)
        shapes |= conv_norm(f"{key}2.0", ins, before3, 1)
        shapes |= conv_norm(f"{key}2.1", before3, three, 3)
        shapes |= conv_norm(f"{key}3.0", ins, before5, 1)
        shapes |= conv_norm(f"{key}3.1", before5, five, widest)
        shapes |= conv_norm(f"{key}4.1", ins, projected, 1)
        ins = outs_of[name] = one + three + five + projected
    for key, end in {"aux1": "4a", "aux2": "4d"}.items() if aux else ():
        shapes |= conv_norm(f"{key}.conv", outs_of[end], 128, 1)
        shapes |= {f"{key}.fc1.weight": (1024, 2048), f"{key}.fc1.bias": (1024,)}
        shapes |= {f"{key}.fc2.weight": (1000, 1024), f"{key}.fc2.bias": (1000,)}
    return written_out(shapes | {"fc.weight": (1000, 1024), "fc.bias": (1000,)})


@pytest.mark.parametrize("aux", [False, True])
@pytest.mark.parametrize("branch", [None, 3, 5])
def test_googlenet_state_has_the_published_layout(branch, aux):
    assert layout("googlenet", branch=branch, aux=aux) == published_layout(branch or 3, aux)


def halved(x, window):
    """Pooling with the overhang spelt out, for windows of 3 and 2 with stride 2."""
    over = [n for size in reversed(x.shape[2:]) for n in (0, (size - window) % 2)]
    return F.max_pool2d(F.pad(x, over, value=-torch.inf), window, 2)


def by_its_numbers(state, x, naive):
    def conv(x, name, stride=1):
        weight = state[f"{name}.conv.weight"]
        y = F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)
        return normalised(state, y, f"{name}.bn", eps=0.001)

    def module(x, name):
        name = f"inception{name}.branch"
        pooled = F.max_pool2d(x, 3, 1, 1)
        if naive:
            rows = [conv(x, f"{name}{i}") for i in (1, 2, 3)]
            return torch.cat([*rows, pooled], 1)
        deep = [conv(conv(x, f"{name}{i}.0"), f"{name}{i}.1") for i in (2, 3)]
        return torch.cat([conv(x, f"{name}1"), *deep, conv(pooled, f"{name}4.1")], 1)

    x = halved(conv(x, "conv1", stride=2), 3)
    x = conv(conv(x, "conv2"), "conv3")
    for window, names in ((3, "ab"), (3, "abcde"), (2, "ab")):
        x = halved(x, window)
        stage = {"ab": "3" if window == 3 else "5", "abcde": "4"}[names]
        for letter in names:
            x = module(x, stage + letter)
    return F.linear(x.mean((2, 3)), state["fc.weight"], state["fc.bias"])


@pytest.mark.parametrize("settings", [{}, {"branch": 5}, {"naive": True}])
def test_googlenet_computes_what_its_weights_say(settings):
    net = shaken(small(**settings))
    x = torch.randn(2, 2, 65, 51, generator=torch.Generator().manual_seed(0))
    expected = by_its_numbers(net.state_dict(), x, settings.get("naive", False))
    torch.testing.assert_close(net(x), expected)


@DIMS
def test_auxiliary_heads_answer_in_training_only(dims):
    net, plain = small(dims, aux=True), small(dims)
    x, seen = batch(dims), {}
    for name in ("inception4a", "inception4d"):
        part = net.get_submodule(name)
        part.register_forward_hook(lambda _, i, out, name=name: seen.update({name: out}))
    for part in net.modules():
        part.training = not hasattr(part, "probability")  # no dropout, so that answers repeat
    main, later, earlier = net(x)
    torch.testing.assert_close(later, net.aux2(seen["inception4d"]))
    torch.testing.assert_close(earlier, net.aux1(seen["inception4a"]))
    state = net.state_dict()
    plain.load_state_dict(plain.published_state(state))
    assert torch.equal(net.eval()(x), plain.eval()(x))
    assert main.shape == net(x).shape == (2, 3)


@DIMS
def test_auxiliary_head_pools_to_four_per_axis(dims):
    net = small(dims, aux=True)
    assert net.aux1.fc1.in_features == 16 * 4**dims
    x = torch.rand(2, 64, *(7, 9, 11)[:dims])
    net.aux1.eval()
    pool = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)[dims - 1]
    y = net.aux1.conv(pool(x, 4)).flatten(1)
    torch.testing.assert_close(net.aux1(x), net.aux1.fc2(F.relu(net.aux1.fc1(y))))


def test_weights_with_auxiliary_heads_load_where_there_are_none():
    net, headed = small(), small(aux=True)
    state = headed.state_dict()
    assert net.published_state(state).keys() == net.state_dict().keys()
    assert headed.published_state(state).keys() == state.keys()


@DIMS
def test_naive_module_hands_its_input_on(dims):
    recipe = Recipe(spatial_dims=dims, width=1.0, branch=5, naive=True)
    module = Inception(6, (2, 9, 3, 9, 4, 9), recipe).eval()
    x = torch.rand(2, 6, *(7, 9, 11)[:dims])
    y = module(x)
    assert y.shape == (2, 2 + 3 + 4 + 6, *x.shape[2:])
    largest = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[dims - 1](x, 3, 1, 1)
    assert torch.equal(y[:, 9:], largest)
    kernels = [tuple(p.shape[2:]) for p in module.parameters() if p.dim() > 1]
    assert kernels == [(k,) * dims for k in (1, 3, 5)]


def test_naive_form_costs_what_the_reductions_save():
    net = {naive: layout("googlenet", branch=5, naive=naive) for naive in (False, True)}
    sizes = {k: sum(torch.Size(s).numel() for s in shapes.values()) for k, shapes in net.items()}
    assert sizes[True] > 8 * sizes[False]
    # every pooling branch adds what came in: 192 from the stem, then 1 x 1 + 3 x 3 + 5 x 5
    adds = sum(one + three + five for (one,), (_, three), (_, five), _ in TABLE.values())
    assert net[True]["fc.weight"] == (1000, 192 + adds)


@DIMS
def test_naive_form_learns_with_all_its_parameters(dims):
    net = small(dims, naive=True, width=0.05)
    net(batch(dims)).square().mean().backward()
    assert not [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]


@DIMS
def test_googlenet_features_are_the_last_at_each_resolution(dims):
    net = small(dims).eval()
    x = torch.rand(1, 2, *(64, 32, 96)[:dims])
    features = net.features(x)
    assert tuple(f.shape[1] for f in features) == net.feature_channels == (8, 24, 60, 104, 128)
    assert net.feature_strides == tuple((s,) * dims for s in (2, 4, 8, 16, 32))
    for f, strides in zip(features, net.feature_strides, strict=True):
        assert f.shape[2:] == tuple(n // s for n, s in zip(x.shape[2:], strides, strict=True))
    torch.testing.assert_close(net.fc(features[-1].flatten(2).mean(2)), net(x))


@DIMS
def test_published_inputs_are_brought_to_what_the_weights_know(dims):
    net, plain = (small(dims, in_channels=3, transform_input=t).eval() for t in (True, False))
    x = batch(dims, channels=3)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, *(1,) * dims)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, *(1,) * dims)
    torch.testing.assert_close(net(x), plain((x * std + mean - 0.5) / 0.5))
    assert net.state_dict().keys() == plain.state_dict().keys()


@DIMS
@pytest.mark.parametrize(
    ("settings", "field"), [({}, 379), ({"branch": 5}, 699), ({"naive": True}, 699)]
)
def test_googlenet_receptive_field_is_known(settings, field, dims):
    net = small(dims, width=0.02, **settings)
    assert receptive_field(net, (2, *SIZE[:dims])) == (field,) * dims


@pytest.mark.slow
def test_auxiliary_heads_survive_autocast_and_compilation():
    net, x = small(aux=True), batch(2)
    with torch.autocast("cpu", torch.bfloat16):
        loss = sum(out.float().square().mean() for out in net(x))
    loss.backward()
    assert all(p.grad.isfinite().all() for p in net.parameters())
    torch.manual_seed(5)
    expected = net(x)
    torch.manual_seed(5)
    compiled = torch.compile(net, backend="eager", fullgraph=True)(x)
    torch.testing.assert_close(compiled[0], expected[0], rtol=1e-4, atol=1e-5)
    assert len(compiled) == 3


# torch's own, on copying an exported program
@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")
def test_all_options_of_googlenet_can_be_exported():
    net = small(in_channels=3, aux=True, naive=True, transform_input=True, width=0.05).eval()
    x = batch(2, channels=3)
    torch.testing.assert_close(torch.export.export(net, (x,)).module()(x), net(x))


@DIMS
def test_least_input_of_googlenet_is_15_samples_per_axis(dims):
    net = small(dims)
    assert net(torch.rand(2, 2, *(15,) * dims)).isfinite().all()
    rule = r"googlenet: every axis needs at least \(15.*; got \(14.*Pad or resample to \(15"
    with pytest.raises(ShapeError, match=rule):
        net(torch.rand(2, 2, *(14, 90, 15)[:dims]))


def test_branch_of_another_kernel_is_refused():
    with pytest.raises(ConfigError, match=r"net\.branch: .* 3 or 5; got 4\. Give 3 or 5"):
        small(branch=4)


def test_transformed_inputs_must_have_three_channels():
    with pytest.raises(ConfigError, match=r"transform_input: .*three channels.*got in_channels=2"):
        small(transform_input=True)
