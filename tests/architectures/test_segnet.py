import pytest
import torch
import torch.nn.functional as F

from convivo.architectures.create import create
from convivo.errors import ConfigError, ShapeError

SIZE = (32, 45, 39)


def segnet(dims=2, **options):
    torch.manual_seed(0)
    settings = {"spatial_dims": dims, "in_channels": 2, "num_classes": 3, "width": 1 / 16}
    return create("segnet", **settings | options)


def noise(*size):
    return torch.randn(2, 2, *size, generator=torch.Generator().manual_seed(1))


def test_segnet_has_thirteen_convolutions_on_either_side():
    with torch.device("meta"):
        net = create("segnet", in_channels=3, num_classes=11)
    encoder, decoder = (
        [p.shape[:2] for p in half.parameters() if p.dim() == 4]
        for half in (net.encoder, torch.nn.ModuleList([net.decoder, net.head]))
    )
    assert len(encoder) == len(decoder) == 13
    assert sorted(encoder)[1:] == sorted((i, o) for o, i in decoder if o != 11)


def test_segnet_computes_what_its_weights_say():
    net, state = segnet(levels=3).eval(), segnet(levels=3).state_dict()
    x = given = noise(17, 22)
    places = []

    def stage(x, half, number, count):
        for unit in range(count):
            key = f"{half}.{number}.{3 * unit}"
            norm = f"{half}.{number}.{3 * unit + 1}"
            x = F.conv2d(x, state[f"{key}.weight"], padding=1)
            kinds = ("running_mean", "running_var", "weight", "bias")
            x = F.batch_norm(x, *(state[f"{norm}.{kind}"] for kind in kinds)).relu()
        return x

    for number, count in enumerate((2, 2, 3)):
        x = stage(x, "encoder", number, count)
        size = x.shape[2:]
        x, indices = F.max_pool2d(x, 2, return_indices=True)
        places.append((indices, size))
    for number, count in ((2, 3), (1, 2), (0, 1)):
        indices, size = places.pop()
        x = stage(F.max_unpool2d(x, indices, 2, output_size=list(size)), "decoder", number, count)
    expected = F.conv2d(x, state["head.weight"], state["head.bias"], padding=1)
    torch.testing.assert_close(net(given), expected)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_decoder_puts_values_back_where_they_were(dims):
    # all convolutions pass the middle sample on: what is left of a point stays in its place
    net = segnet(dims, in_channels=1, num_classes=1, levels=2).eval()
    for weight in net.parameters():
        if weight.dim() > 1:
            torch.nn.init.zeros_(weight)
            weight.data[(slice(None), 0, *(1,) * dims)] = 1
    point = torch.zeros(1, 1, *(9, 12, 11)[:dims])
    place = (0, 0, *(5, 10, 7)[:dims])
    point[place] = 1
    answer = net(point) - net(torch.zeros_like(point))
    assert answer[place] > 0.9
    assert answer.count_nonzero() == 1


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_any_size_from_the_least_on_comes_back(dims):
    net = segnet(dims)
    assert net.least_size == (32,) * dims
    assert net(noise(*SIZE[:dims])).shape == (2, 3, *SIZE[:dims])


def test_smaller_inputs_are_refused_unless_there_are_fewer_levels():
    with pytest.raises(ShapeError, match=r"segnet: .*at least \(32, 32\).*Pad.* to \(32, 40\)"):
        segnet()(noise(20, 40))
    assert segnet(levels=3)(noise(20, 40)).shape == (2, 3, 20, 40)


@pytest.mark.parametrize("levels", [0, 6])
def test_levels_beyond_the_five_stages_are_refused(levels):
    with pytest.raises(ConfigError, match=rf"net\.levels: one to five stages; got {levels}"):
        segnet(levels=levels)


@pytest.mark.parametrize("name", ["vgg16_bn", "vgg16"])
def test_published_vgg_becomes_the_encoder(name):
    torch.manual_seed(1)
    vgg = create(name, in_channels=2, width=1 / 16, head="none").eval()
    for key, value in vgg.state_dict().items():
        if key.endswith(("bias", "running_mean")):
            value.normal_()
    net = segnet().eval()
    answer = net.load_state_dict(net.published_state(vgg.state_dict()), strict=False)
    assert not answer.unexpected_keys
    missing = [key for key in answer.missing_keys if key.startswith("encoder")]
    if name == "vgg16_bn":  # the same network, its biases taken over by the running means
        assert not missing
        x = stages = noise(64, 40)
        for stage in net.encoder:
            stages = net.pool(stage(stages))[0]
        torch.testing.assert_close(stages, vgg.features.last(x), rtol=1e-4, atol=1e-5)
    else:
        assert torch.equal(net.encoder[4][6].weight, vgg.features[28].weight)
        assert not [key for key in missing if key.endswith((".0.weight", ".3.weight"))]
    assert net.published_state(net.state_dict()).keys() == net.state_dict().keys()


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_places_of_the_maxima_decide_the_answer(dims):
    net = segnet(dims, levels=1).eval()
    pool = net.pool

    class Elsewhere(torch.nn.Module):
        def forward(self, x):
            values, indices = pool(x)
            return values, indices.flip(-1)

    x = noise(*(8, 6, 4)[:dims])
    known = net(x)
    net.pool = Elsewhere()
    assert not torch.allclose(net(x), known)
