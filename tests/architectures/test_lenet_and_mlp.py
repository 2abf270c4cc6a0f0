import pytest
import torch

from convivo.architectures.create import create
from convivo.errors import ConfigError, ShapeError


def parameters(net):
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(("dims", "expected"), [(1, 21_266), (2, 61_706), (3, 263_906)])
def test_lenet_has_the_parameters_of_today(dims, expected):
    net = create("lenet5", spatial_dims=dims, num_classes=10, input_size=28)
    assert parameters(net) == expected


@pytest.mark.parametrize("size", [(12, 12), (13, 31), (28, 40)])
def test_lenet_takes_any_size_from_twelve_on(size):
    assert create("lenet5", input_size=size)(torch.zeros(1, 1, *size)).shape == (1, 2)


def test_lenet_names_the_nearest_size_that_works():
    with pytest.raises(ShapeError, match=r"lenet5: .*got \(28, 9\). Pad or resample to \(28, 12\)"):
        create("lenet5", input_size=(28, 9))


@pytest.mark.parametrize("name", ["lenet5", "mlp"])
def test_other_size_than_the_one_created_for_is_refused(name):
    rule = r"created for inputs of size \(28, 28\); got \(28, 30\). Resample to \(28, 28\)"
    with pytest.raises(ShapeError, match=rule):
        create(name, input_size=28)(torch.zeros(1, 1, 28, 30))


def test_lenet_options_change_what_they_name():
    net = create("lenet5", input_size=28, activation="relu", pool="avg")
    text = str(net)
    assert "ReLU" in text
    assert "kind=avg" in text
    assert "Tanh" not in text


def test_mlp_of_the_lecture_has_3_621_192_305_parameters():
    hidden = (40_000, 30_000, 20_000, 10_000, 2_000, 512, 128)
    with torch.device("meta"):
        net = create("mlp", input_size=(200, 200), hidden=hidden, num_classes=1)
    assert parameters(net) == 3_621_192_305


def test_fully_connected_features_of_the_lecture():
    net = create("mlp", input_size=(200, 200), hidden=(), num_classes=10)
    assert parameters(net) == 400_010


def test_mlp_drops_out_in_training_only():
    net = create("mlp", input_size=(7, 9), dropout=0.5)
    x = torch.ones(1, 1, 7, 9)
    assert not torch.equal(net(x), net(x))
    assert torch.equal(net.eval()(x), net(x))


def test_hidden_layer_without_units_is_refused():
    with pytest.raises(ConfigError, match=r"net\.hidden: units per hidden layer"):
        create("mlp", input_size=(7, 9), hidden=(10, 0))
