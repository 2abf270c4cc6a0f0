import pytest
import torch
import torch.nn.functional as F

from convivo.architectures.create import create
from convivo.errors import ConfigError, ShapeError

PUBLISHED = {
    "resnet18": (4_357_800, 11_689_512, 33_716_904),
    "resnet34": (7_732_136, 21_797_672, 64_026_536),
    "resnet50": (18_004_136, 25_557_032, 48_247_976),
    "resnet101": (30_311_592, 44_549_160, 87_294_120),
    "resnet152": (40_450_216, 60_192_808, 119_452_840),
}
NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_ones(name, dims):
    with torch.device("meta"):
        net = create(name, spatial_dims=dims, in_channels=3, num_classes=1000)
    assert sum(p.numel() for p in net.parameters()) == PUBLISHED[name][dims - 1]


def published_layout(blocks, convs, expansion):
    """Names and shapes in the widely published state dicts, written out from their rule."""
    shapes = {"conv1.weight": (64, 3, 7, 7), "bn1": 64}
    ins = 64
    for stage, count in enumerate(blocks, 1):
        channels = 64 * 2 ** (stage - 1)
        for block in range(count):
            where = f"layer{stage}.{block}."
            outs = channels * expansion
            plan = [(ins, channels, 3), (channels, channels, 3)]
            if convs == 3:
                plan = [(ins, channels, 1), (channels, channels, 3), (channels, outs, 1)]
            for i, (a, b, k) in enumerate(plan, 1):
                shapes |= {f"{where}conv{i}.weight": (b, a, k, k), f"{where}bn{i}": b}
            if block == 0 and ins != outs:
                shapes[f"{where}downsample.0.weight"] = (outs, ins, 1, 1)
                shapes[f"{where}downsample.1"] = outs
            ins = outs
    shapes |= {"fc.weight": (1000, ins), "fc.bias": (1000,)}
    flat = {}
    for key, shape in shapes.items():
        norm = {f"{key}.{n}": () if "num" in n else (shape,) for n in NORM}
        flat |= norm if isinstance(shape, int) else {key: shape}
    return flat


@pytest.mark.parametrize(
    ("name", "blocks", "convs", "expansion"),
    [("resnet18", (2, 2, 2, 2), 2, 1), ("resnet50", (3, 4, 6, 3), 3, 4)],
)
def test_state_dict_has_the_published_layout(name, blocks, convs, expansion):
    with torch.device("meta"):
        state = create(name, in_channels=3, num_classes=1000).state_dict()
    expected = published_layout(blocks, convs, expansion)
    assert {k: tuple(v.shape) for k, v in state.items()} == expected


def test_resnet18_computes_what_its_weights_say():
    net = create("resnet18", in_channels=3, num_classes=5, width=0.125).eval()
    s = net.state_dict()

    def norm(x, name):
        rows = [s[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *rows)

    x = torch.randn(2, 3, 33, 47, generator=torch.Generator().manual_seed(0))
    y = F.relu(norm(F.conv2d(x, s["conv1.weight"], stride=2, padding=3), "bn1"))
    y = F.max_pool2d(y, 3, 2, 1)
    for stage in range(1, 5):
        for block in range(2):
            where, step = f"layer{stage}.{block}.", 2 if stage > 1 and block == 0 else 1
            z = F.conv2d(y, s[where + "conv1.weight"], stride=step, padding=1)
            z = F.conv2d(F.relu(norm(z, where + "bn1")), s[where + "conv2.weight"], padding=1)
            if step == 2:
                y = F.conv2d(y, s[where + "downsample.0.weight"], stride=2)
                y = norm(y, where + "downsample.1")
            y = F.relu(norm(z, where + "bn2") + y)
    expected = F.linear(y.mean((2, 3)), s["fc.weight"], s["fc.bias"])
    torch.testing.assert_close(net(x), expected)


@pytest.mark.parametrize(
    ("stem", "grids"),
    [("published", (32, 16, 8, 4, 2)), ("medium", (32, 16, 8, 4)), ("small", (64, 32, 16, 8))],
)
def test_stem_sets_the_resolution_of_the_features(stem, grids):
    net = create("resnet18", stem=stem, width=0.125)
    features = net.features(torch.zeros(1, 1, 64, 64))
    assert [f.shape[2:] for f in features] == [(n, n) for n in grids]
    assert tuple(f.shape[1] for f in features) == net.feature_channels
    assert net.feature_strides == tuple((64 // n, 64 // n) for n in grids)
    assert net.total_stride == net.feature_strides[-1]


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_features_tell_their_channels_and_strides(dims):
    net = create("resnet50", spatial_dims=dims, width=0.125).eval()
    size = (64, 32, 96)[:dims]
    for f, channels, stride in zip(
        net.features(torch.zeros(1, 1, *size)),
        net.feature_channels,
        net.feature_strides,
        strict=True,
    ):
        assert f.shape[1:] == (channels, *(n // s for n, s in zip(size, stride, strict=True)))
    assert net.feature_channels == (8, 32, 64, 128, 256)


def test_first_feature_is_the_stem_before_pooling():
    net = create("resnet18", width=0.125).eval()
    x = torch.rand(1, 1, 33, 47)
    first = net.features(x)[0]
    assert torch.equal(first, F.relu(net.bn1(net.conv1(x))))


def test_stem_without_stride_has_no_resolution_of_its_own():
    net = create("resnet18", stem_stride=1, width=0.125)
    assert net.feature_strides == ((1, 1), (2, 2), (4, 4), (8, 8))
    assert len(net.features(torch.zeros(1, 1, 16, 16))) == 4


def test_thick_slices_can_be_spared_by_the_stem():
    net = create("resnet18", spatial_dims=3, stem_stride=(1, 2, 2), width=0.125).eval()
    assert net.total_stride == (8, 32, 32)
    grids = [f.shape[2:] for f in net.features(torch.zeros(1, 1, 8, 32, 32))[:2]]
    assert grids == [(8, 16, 16), (8, 8, 8)]


def test_stem_stride_of_zero_is_refused():
    with pytest.raises(ConfigError, match=r"stem_stride: every stride is at least 1; got \(0, 2"):
        create("resnet18", stem_stride=(0, 2))


def test_plain_network_has_no_projections():
    with torch.device("meta"):
        plain = create("resnet34", in_channels=3, num_classes=1000, shortcuts=False)
    assert not [key for key in plain.state_dict() if "downsample" in key]
    assert sum(p.numel() for p in plain.parameters()) < PUBLISHED["resnet34"][1]


def test_zero_init_makes_every_block_pass_its_input_on():
    net = create("resnet18", width=0.125, zero_init=True, stem="small").eval()
    x = torch.rand(1, 8, 9, 11)
    assert torch.equal(net.layer1(x), x)


def test_zero_init_of_a_plain_network_is_refused():
    with pytest.raises(ConfigError, match=r"net\.zero_init: .* or the network is zero"):
        create("resnet18", zero_init=True, shortcuts=False)


def test_unknown_stem_names_the_nearest():
    with pytest.raises(ConfigError, match=r"net\.stem: .*Did you mean 'small'"):
        create("resnet18", stem="smal")


def test_input_the_stem_would_swallow_is_refused():
    rule = r"at least \(5, 5\) samples .*; got \(4, 90\). Pad or resample to \(5, 90\)"
    with pytest.raises(ShapeError, match=rule):
        create("resnet18", width=0.125)(torch.zeros(2, 1, 4, 90))


def test_dropout_acts_before_the_linear_layer():
    net = create("resnet18", width=0.125, dropout=0.5).train()
    for layer in net.modules():
        if hasattr(layer, "running_mean"):
            layer.eval()
    x = torch.rand(1, 1, 32, 32)
    assert not torch.equal(net(x), net(x))
