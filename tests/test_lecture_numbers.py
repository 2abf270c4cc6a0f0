"""The published numbers of parameters, in every dimension, on the meta device."""

import math

import pytest
import torch

from convivo.architectures.create import create
from convivo.layers import Conv
from convivo.planning.receptive_field import receptive_field
from convivo.verbs.plan import plan

PARAMETERS = {
    "alexnet": (27_951_272, 61_100_840, 255_581_864),
    "vgg11": (38_637_800, 132_863_336, 767_861_480),
    "vgg13": (38_699_432, 133_047_848, 768_414_632),
    "vgg16": (40_470_184, 138_357_544, 784_341_160),
    "vgg19": (42_240_936, 143_667_240, 800_267_688),
    "googlenet": (4_406_536, 6_624_904, 13_312_264),
    "resnet18": (4_357_800, 11_689_512, 33_716_904),
    "resnet34": (7_732_136, 21_797_672, 64_026_536),
    "resnet50": (18_004_136, 25_557_032, 48_247_976),
    "resnet101": (30_311_592, 44_549_160, 87_294_120),
    "resnet152": (40_450_216, 60_192_808, 119_452_840),
    "resnext50_32x4d": (24_077_736, 25_028_904, 27_914_664),
    "resnext101_32x8d": (81_668_520, 88_791_336, 110_192_040),
    "densenet121": (6_545_384, 7_978_856, 12_311_528),
    "densenet161": (24_355_816, 28_681_000, 41_704_936),
    "densenet169": (12_126_184, 14_149_480, 20_251_624),
    "densenet201": (17_597_416, 20_013_928, 27_295_720),
}
DIMS = pytest.mark.parametrize("dims", [1, 2, 3])


def parameters(name, dims, **options):
    with torch.device("meta"):
        net = create(name, spatial_dims=dims, **options)
    return sum(p.numel() for p in net.parameters())


@DIMS
@pytest.mark.parametrize("name", PARAMETERS)
def test_classifiers_of_natural_images(name, dims):
    assert parameters(name, dims, in_channels=3, num_classes=1000) == PARAMETERS[name][dims - 1]


@DIMS
def test_lenet5_as_published(dims):
    expected = (20_280, 60_000, 258_600)[dims - 1]
    options = {"in_channels": 1, "num_classes": 10, "input_size": 32}
    assert parameters("lenet5_1998", dims, **options) == expected


@DIMS
def test_lenet5_today(dims):
    expected = (21_266, 61_706, 263_906)[dims - 1]
    options = {"in_channels": 1, "num_classes": 10, "input_size": 28}
    assert parameters("lenet5", dims, **options) == expected


def test_alexnet_in_two_towers():
    assert parameters("alexnet", 2, in_channels=3, num_classes=1000, towers=2) == 60_965_224


@DIMS
def test_googlenet_with_auxiliary_heads(dims):
    expected = (7_640_792, 13_004_888, 32_275_160)[dims - 1]
    assert parameters("googlenet", dims, in_channels=3, num_classes=1000, aux=True) == expected


@pytest.mark.parametrize(("aux", "expected"), [(False, 7_005_832), (True, 13_385_816)])
def test_googlenet_with_true_five_by_five(aux, expected):
    options = {"in_channels": 3, "num_classes": 1000, "aux": aux, "branch": 5}
    assert parameters("googlenet", 2, **options) == expected


@DIMS
def test_unet_as_published(dims):
    expected = (10_812_418, 31_030_658, 90_292_738)[dims - 1]
    assert parameters("unet_2015", dims, in_channels=1, num_classes=2) == expected


@DIMS
def test_dcgan_of_64_samples_per_axis(dims):
    with torch.device("meta"):
        net = create("dcgan", spatial_dims=dims, in_channels=3, input_size=64)
    halves = [
        sum(p.numel() for p in half.parameters()) for half in (net.generator, net.discriminator)
    ]
    expected = [(895_616, 692_736), (3_576_704, 2_765_568), (14_301_056, 11_056_896)][dims - 1]
    assert tuple(halves) == expected


@pytest.mark.parametrize(
    ("hidden", "expected"),
    [
        ([1000], 160_168_004),
        ([40_000, 30_000, 20_000, 10_000, 2_000, 512, 128], 14_484_929_220),
    ],
)
def test_what_a_fully_connected_network_costs(hidden, expected):
    planned = plan(
        net="mlp",
        input=(1, 200, 200),
        classes=1,
        settings=[f"net.hidden={hidden}"],
        count="lecture",
    ).document()
    assert planned["lecture"]["bytes"] == expected
    assert planned["parameters"] * 4 + 160_000 == expected


@DIMS
def test_ten_features_fully_connected_and_by_filters(dims):
    size = (200, 30, 7)[:dims]
    with torch.device("meta"):
        connected = torch.nn.Linear(math.prod(size), 10)
        filters = Conv(1, 10, 5, padding="same", spatial_dims=dims)
    counts = [sum(p.numel() for p in layer.parameters()) for layer in (connected, filters)]
    assert counts == [10 * math.prod(size) + 10, 10 * 5**dims + 10]
    assert filters(torch.empty(1, 1, *size, device="meta")).shape == (1, 10, *size)


@pytest.mark.parametrize(("small", "large"), [(2, 5), (3, 7)])
def test_small_kernels_see_as_far_with_fewer_weights(small, large):
    stack = torch.nn.Sequential(*[Conv(1, 1, 3, bias=False) for _ in range(small)])
    single = Conv(1, 1, large, bias=False)
    counts = [sum(p.numel() for p in net.parameters()) for net in (stack, single)]
    assert counts == {2: [18, 25], 3: [27, 49]}[small]
    fields = [receptive_field(net, (1, 20, 20)) for net in (stack, single)]
    assert fields == [(large, large)] * 2
