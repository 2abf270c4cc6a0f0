import pytest
import torch
import torch.nn.functional as F

from convivo.architectures.create import create
from convivo.architectures.fcn import bilinear_kernel, bilinear_up
from convivo.errors import ConfigError, ShapeError
from convivo.layers.kernels import LINEAR_MODE

NAMES = ("fcn32s", "fcn16s", "fcn8s")
DIMS = pytest.mark.parametrize("dims", [1, 2, 3])
SIZE = (3, 4, 2)


def fcn(name="fcn8s", dims=2, **options):
    torch.manual_seed(0)
    settings = {"spatial_dims": dims, "in_channels": 2, "num_classes": 3, "width": 1 / 32}
    return create(name, **settings | options)


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(2))


@DIMS
@pytest.mark.parametrize("factor", [2, 8])
def test_upsampling_starts_as_linear_interpolation(dims, factor):
    x = noise(2, 3, *SIZE[:dims])
    up = bilinear_up(3, factor, dims)(x)
    exact = F.interpolate(x, scale_factor=factor, mode=LINEAR_MODE[dims], align_corners=False)
    inside = (..., *(slice(factor // 2, -(factor // 2)) for _ in range(dims)))
    assert up.shape == exact.shape
    torch.testing.assert_close(up[inside], exact[inside])


@DIMS
def test_a_point_is_spread_evenly_around_its_own_place(dims):
    point = torch.zeros(1, 1, *(5,) * dims)
    point[(..., *(2,) * dims)] = 1
    up = bilinear_up(1, 4, dims)(point)
    torch.testing.assert_close(up, up.flip(tuple(range(2, 2 + dims))))
    assert up.sum().item() == pytest.approx(4**dims)
    assert bilinear_kernel(4, dims).amax().item() == pytest.approx((7 / 8) ** dims)


def test_classes_do_not_mix_while_upsampling():
    x = torch.zeros(1, 3, 4)
    x[0, 1] = 1
    up = bilinear_up(3, 2, 1)(x)
    assert up[0, 1].all()
    assert not up[0, [0, 2]].any()


@DIMS
@pytest.mark.parametrize("name", NAMES)
def test_no_grid_is_shifted_against_another(name, dims):
    # with symmetric kernels a mirrored input has a mirrored answer, unless a crop is off by one
    net = fcn(name, dims).eval()
    for parameter in net.parameters():
        for axis in range(2, parameter.dim()):
            parameter.data = (parameter + parameter.flip(axis)).detach() / 2
    x = noise(1, 2, *(36, 44, 64)[:dims])
    with torch.no_grad():
        for axis in range(2, 2 + dims):
            torch.testing.assert_close(net(x.flip(axis)), net(x).flip(axis), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_fcn_computes_what_its_weights_say(name):
    net, state, x = fcn(name).eval(), fcn(name).state_dict(), noise(1, 2, 64, 96)

    def conv(x, key, padding=0):
        return F.conv2d(x, state[f"{key}.weight"], state[f"{key}.bias"], padding=padding)

    def up(x, number, factor):
        weight = state[f"ups.{number}.weight"]
        return F.conv_transpose2d(x, weight, None, factor, factor // 2, groups=3)

    x_in, pools, place = x, [], 0
    for count in (2, 2, 3, 3, 3):
        for _ in range(count):
            x = conv(x, f"backbone.features.{place}", 1).relu()
            place += 2
        x = F.max_pool2d(x, 2)
        place += 1
        pools.append(x)
    x = conv(conv(conv(x, "fc6", 3).relu(), "fc7").relu(), "score")
    for number in range(NAMES.index(name)):
        x = up(x, number, 2) + conv(pools[3 - number], f"skips.{number}")
    last = NAMES.index(name)
    torch.testing.assert_close(net(x_in), up(x, last, 32 >> last), rtol=1e-4, atol=1e-5)


def test_published_vgg_becomes_convolutions_that_answer_alike():
    torch.manual_seed(0)
    vgg = create("vgg16", in_channels=3, num_classes=5, width=1 / 32).eval()
    net = fcn(in_channels=3).eval()
    translated = net.published_state(vgg.state_dict())
    answer = net.load_state_dict(translated, strict=False)
    assert not answer.unexpected_keys
    assert {key.split(".")[0] for key in answer.missing_keys} == {"score", "skips", "ups"}
    # the middle of fc6's answer sees just the grid of 7 that the linear layer sees
    grid = vgg.features.last(noise(1, 3, 224, 224))
    linear = vgg.classifier[3](vgg.classifier[0](grid.flatten(1)).relu())
    torch.testing.assert_close(
        net.fc7(net.fc6(grid).relu())[0, :, 3, 3], linear[0], rtol=1e-4, atol=1e-5
    )
    assert net.published_state(net.state_dict()).keys() == net.state_dict().keys()


def test_scores_can_start_at_zero_as_in_the_paper():
    net = fcn(zero_init=True)
    assert not net(noise(1, 2, 32, 32)).any()
    assert fcn()(noise(1, 2, 32, 32)).any()


@pytest.mark.parametrize("encoder", ["vgg11", "vgg19", "vgg13_bn"])
def test_any_vgg_can_be_the_encoder(encoder):
    net = fcn(encoder=encoder).eval()
    assert net(noise(1, 2, 33, 40)).shape == (1, 3, 33, 40)
    deep = sum(p.dim() == 4 for p in net.backbone.parameters())
    assert deep == int(encoder[3:5]) - 3


def test_an_encoder_that_is_no_vgg_is_refused():
    rule = r"net\.encoder: one of vgg11, .*got 'vgg61'. Did you mean 'vgg1"
    with pytest.raises(ConfigError, match=rule):
        fcn(encoder="vgg61")


def test_an_empty_axis_is_refused_and_the_shortest_is_not():
    assert fcn().eval()(noise(1, 2, 1, 5)).shape == (1, 3, 1, 5)
    with pytest.raises(ShapeError, match=r"fcn: every axis needs at least \(1, 1\).*to \(1, 5\)"):
        fcn()(torch.ones(1, 2, 0, 5))
