import pytest
import torch

from convivo.architectures.create import create
from convivo.errors import ConfigError, ShapeError

SMALL = {"stem": "small"}
FAMILIES = pytest.mark.parametrize(
    ("encoder", "settings"),
    [
        ("resnet18", {}),
        ("resnet18", SMALL),
        ("resnet50", {"stem": "medium"}),
        ("resnext50_32x4d", {}),
        ("densenet121", {}),
        ("densenet121", SMALL),
        ("vgg11_bn", {}),
        ("googlenet", {}),
    ],
)
SIZE = (64, 32, 96)


def unet(encoder="resnet18", dims=2, **options):
    torch.manual_seed(0)
    settings = {"spatial_dims": dims, "in_channels": 2, "num_classes": 3, "width": 1 / 16}
    return create("unet", encoder=encoder, **settings | options)


def noise(dims=2, count=2):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 2, *SIZE[:dims], generator=generator)


@pytest.mark.parametrize("dims", [1, 2, 3])
@FAMILIES
def test_every_family_goes_down_and_the_decoder_up_again(encoder, settings, dims):
    net = unet(encoder, dims, encoder_options=settings, deep_supervision=True)
    shapes = [grid.shape[1:] for grid in net.backbone.features(noise(dims))]
    rows = zip(net.backbone.feature_channels, net.backbone.feature_strides, strict=True)
    assert shapes == [
        (c, *(n // s for n, s in zip(SIZE, stride, strict=False))) for c, stride in rows
    ]
    outputs = net(noise(dims))
    assert [y.shape for y in outputs] == [
        (2, 3, *(n >> level for n in SIZE[:dims])) for level in range(len(outputs))
    ]
    sum(y.square().mean() for y in outputs).backward()
    assert not [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]


def test_answer_of_full_resolution_leads_in_training_and_is_alone_afterwards():
    net = unet(deep_supervision=True, norm="instance", encoder_options={"norm": "instance"})
    full = net(noise())[0]
    torch.testing.assert_close(net.eval()(noise()), full)
    assert isinstance(unet()(noise()), torch.Tensor)


def test_encoder_keeps_its_own_starting_weights_and_takes_published_ones():
    twin = create("resnet18", in_channels=2, num_classes=7, width=1 / 16)
    net = unet()
    answer = net.load_state_dict(net.published_state(twin.state_dict()), strict=False)
    assert not answer.unexpected_keys
    assert {key.split(".")[0] for key in answer.missing_keys} == {"ups", "decoder", "heads"}
    torch.testing.assert_close(net.backbone.features(noise())[-1], twin.features(noise())[-1])
    assert net.published_state(net.state_dict()).keys() == net.state_dict().keys()
    assert torch.equal(net.backbone.bn1.weight, torch.ones(4))


def test_every_resolution_of_the_encoder_reaches_the_answer():
    net = unet().eval()
    grids, known = net.backbone.features(noise()), net(noise())
    for place, grid in enumerate(grids):
        changed = [*grids[:place], grid.flip(2), *grids[place + 1 :]]
        net.backbone.features = lambda _, changed=changed: changed
        assert not torch.allclose(net(noise()), known)
    net.backbone.features = lambda _: grids
    torch.testing.assert_close(net(noise()), known)


def test_strides_may_differ_between_axes():
    net = unet("resnet18", 3, encoder_options={"stem_stride": (1, 2, 2)})
    assert net.total_stride == (8, 32, 32)
    assert net(torch.ones(1, 2, 16, 32, 64)).shape == (1, 3, 16, 32, 64)


def test_decoder_has_the_channels_given_for_its_levels():
    net = unet(width=1.0, channels=(8, 12), encoder_options=SMALL)
    assert [up.out_channels for up in net.ups] == [8, 12, 24]
    net = unet(upsampling="linear", norm="batch")
    assert net(noise()).shape == (2, 3, *SIZE[:2])


@pytest.mark.parametrize(
    ("settings", "size", "nearest"),
    [({}, (30, 64), r"\(32, 64\)"), (SMALL, (8, 20), r"\(8, 24\)"), ({}, (64, 0), r"\(64, 32\)")],
)
def test_sizes_that_the_encoder_cannot_halve_are_refused(settings, size, nearest):
    rule = rf"unet: every axis must be a multiple of .*got size .*Pad to {nearest}, or give"
    with pytest.raises(ShapeError, match=rule):
        unet(encoder_options=settings)(torch.ones(1, 2, *size))


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"encoder": "alexnet"}, r"net\.encoder: one of vgg11, .*got 'alexnet'"),
        ({"encoder": "resnet81"}, r"net\.encoder: .*'resnet81'\. Did you mean 'resnet18'"),
        ({"encoder_options": {"stme": 1}}, r"net\.encoder_options\.stme: .*'stem'"),
        ({"encoder_options": {"width": 1}}, r"net\.encoder_options\.width: an option of resnet18"),
        ({"levels": 3}, r"net\.levels: the encoder decides this; got 3"),
        ({"strides": [1, 2]}, r"net\.strides: the encoder decides this"),
        ({"downsampling": "pool"}, r"net\.downsampling: the encoder decides"),
        ({"channels": ()}, r"net\.channels: .*at least one channel"),
        ({"encoder": None, "encoder_options": SMALL}, r"net\.encoder_options: they need an enc"),
    ],
)
def test_options_that_cannot_be_beside_an_encoder_are_refused(options, rule):
    with pytest.raises(ConfigError, match=rule):
        unet(**options)
