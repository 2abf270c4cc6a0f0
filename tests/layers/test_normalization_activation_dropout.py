import pytest
import torch
from torch import nn

from convivo.errors import ConfigError, ShapeError
from convivo.layers import ACTIVATIONS, Dropout, Norm, activation

DIMS = (1, 2, 3)
SIZE = (7, 9, 11)
BATCH = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
INSTANCE = {1: nn.InstanceNorm1d, 2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}


def image(dims, channels=4):
    generator = torch.Generator().manual_seed(2)
    return 3 * torch.randn(2, channels, *SIZE[:dims], generator=generator) + 1


def torchs(kind, dims):
    if kind == "batch":
        return BATCH[dims](4)
    return INSTANCE[dims](4, affine=True) if kind == "instance" else nn.GroupNorm(2, 4)


@pytest.mark.parametrize("dims", DIMS)
@pytest.mark.parametrize("kind", ["batch", "instance", "group"])
def test_normalisation_agrees_with_torch_and_shares_its_state(dims, kind):
    ours, theirs = Norm(4, kind, spatial_dims=dims, groups=2), torchs(kind, dims)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    with torch.no_grad():
        theirs.weight.copy_(torch.tensor([0.5, 1, 2, 3]))
        theirs.bias.copy_(torch.tensor([0.0, 1, 2, -3]))
    ours.load_state_dict(theirs.state_dict())
    for training in (True, False):
        ours.train(training)
        theirs.train(training)
        torch.testing.assert_close(ours(image(dims)), theirs(image(dims)))
    assert str(ours.state_dict()) == str(theirs.state_dict())


@pytest.mark.parametrize("dims", DIMS)
def test_layer_normalisation_is_over_grid_and_channels(dims):
    ours, x = Norm(4, "layer", spatial_dims=dims), image(dims)
    theirs = torch.nn.functional.layer_norm(x, x.shape[1:])
    torch.testing.assert_close(ours(x), theirs)
    assert {k: v.shape for k, v in ours.state_dict().items()} == {"weight": (4,), "bias": (4,)}


@pytest.mark.parametrize("dims", DIMS)
def test_local_response_normalisation_learns_nothing_and_needs_no_second_value(dims):
    layer = Norm(4, "lrn", spatial_dims=dims)
    assert not layer.state_dict()
    ones = torch.ones(1, 4, *(1,) * dims)
    expected = torch.tensor([3.0, 4, 4, 3])  # neighbours within two channels, itself included
    torch.testing.assert_close(layer(ones).flatten(), (2 + 1e-4 * expected) ** -0.75)


def test_window_of_no_channels_is_refused():
    with pytest.raises(ConfigError, match="Norm: size counts channels, from 1; got 0"):
        Norm(4, "lrn", size=0)


def test_no_normalisation_changes_nothing_and_learns_nothing():
    layer = Norm(4, "none")
    assert layer(image(2)) is not None
    assert not layer.state_dict()


@pytest.mark.parametrize(
    ("kind", "remedy"), [("batch", "larger input or batch"), ("instance", "larger input")]
)
def test_single_value_has_no_variance(kind, remedy):
    with pytest.raises(ShapeError, match=f"a variance needs more than one value; .*{remedy}"):
        Norm(4, kind, spatial_dims=1)(torch.ones(1, 4, 1))


def test_groups_of_a_norm_must_divide_channels():
    with pytest.raises(ConfigError, match="groups must divide channels; got channels=4, groups=3"):
        Norm(4, "group", groups=3)


def test_unknown_norm_names_the_nearest():
    with pytest.raises(ConfigError, match=r"Norm kind: .*; got 'bach'. Did you mean 'batch'"):
        Norm(4, "bach")


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_works_behind_a_norm(name):
    x = torch.linspace(-3, 3, 14).reshape(1, 2, 7).requires_grad_()
    nn.Sequential(Norm(2, spatial_dims=1), activation(name))(x).square().sum().backward()
    assert x.grad.isfinite().all()


def test_squashing_function_of_lenet_is_one_at_one():
    found = activation("scaled_tanh")(torch.tensor([-100.0, -1, 0, 1, 100]))
    torch.testing.assert_close(found, torch.tensor([-1.7159, -1, 0, 1, 1.7159]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_overwriting_gives_the_same_values_and_gradients(name):
    x = torch.linspace(-4, 4, 9, dtype=torch.float64, requires_grad=True)
    plain, overwriting = (activation(name, inplace=i).double() for i in (False, True))
    (expected,) = torch.autograd.grad((y := plain(x * 1)).sum(), x)
    (found,) = torch.autograd.grad((z := overwriting(x * 1)).sum(), x)
    torch.testing.assert_close(z, y)
    torch.testing.assert_close(found, expected)


def test_slopes_of_prelu_are_learnt_per_channel_if_asked():
    assert activation("prelu").weight.shape == (1,)
    assert activation("prelu", channels=4).weight.tolist() == [0.25] * 4


def test_unknown_activation_names_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean 'leaky_relu'"):
        activation("leakyrelu")


@pytest.mark.parametrize("dims", DIMS)
def test_channelwise_dropout_drops_whole_channels_and_keeps_the_mean(dims):
    torch.manual_seed(0)
    x = torch.ones(50, 20, *SIZE[:dims])
    out = Dropout(0.25, channelwise=True, spatial_dims=dims)(x).flatten(2)
    assert (out == out[..., :1]).all()
    assert out.mean() == pytest.approx(1, abs=0.1)


def test_dropout_rests_in_evaluation():
    assert torch.equal(Dropout(0.9).eval()(torch.ones(5)), torch.ones(5))


def test_probability_of_one_is_refused():
    with pytest.raises(ConfigError, match=r"lies in \[0, 1\); got 1.0"):
        Dropout(1.0)
