import pytest
import torch

from convivo.architectures.create import create
from convivo.errors import ConfigError, ShapeError, UsageError


def test_unknown_network_names_the_nearest():
    with pytest.raises(UsageError, match=r"net: a known .* got 'resnet19'. Did you mean 'res"):
        create("resnet19")


def test_unknown_option_names_the_nearest():
    with pytest.raises(ConfigError, match=r"net\.chanels: an option of unet .*mean 'channels'"):
        create("unet", chanels=(8, 16))


@pytest.mark.parametrize(
    ("name", "option", "value", "kind"),
    [
        ("resnet18", "dropout", "half", "float"),
        ("resnet18", "shortcuts", 1, "bool"),
        ("unet", "norm", 3, "str"),
        ("resnet18", "dropout", True, "float"),
    ],
)
def test_option_of_another_kind_is_refused(name, option, value, kind):
    with pytest.raises(ConfigError, match=rf"net\.{option}: a value of the kind.*Give {kind}"):
        create(name, **{option: value})


def test_whole_number_serves_as_a_share():
    assert create("resnet18", dropout=0, width=0.1) is not None


def test_network_that_needs_a_size_says_so():
    with pytest.raises(UsageError, match=r"lenet5: input_size is needed .* one number per axis"):
        create("lenet5")


def test_size_with_too_few_axes_is_refused():
    with pytest.raises(ShapeError, match="input_size takes one integer or one per axis"):
        create("lenet5", input_size=(28,))


@pytest.mark.parametrize("bad", [{"in_channels": 0}, {"num_classes": 0}, {"width": 0.0}])
def test_numbers_must_be_positive(bad):
    with pytest.raises(UsageError, match="in_channels, num_classes and width must be positive"):
        create("resnet18", **bad)


def test_fourth_dimension_is_refused():
    with pytest.raises(UsageError, match="resnet18: spatial_dims is 1"):
        create("resnet18", spatial_dims=4)


def test_bad_size_is_refused_before_any_data_is_seen():
    with pytest.raises(ShapeError, match=r"unet: .* got size \(30, 32\). Pad to \(32, 32\)"):
        create("unet", input_size=(30, 32))


def test_width_scales_channels():
    full, half = (create("unet", width=w) for w in (1.0, 0.5))
    weight = "encoder.3.3.weight"
    assert full.get_parameter(weight).shape[0] == 2 * half.get_parameter(weight).shape[0]


def test_building_on_meta_allocates_nothing():
    with torch.device("meta"):
        net = create("resnet152", spatial_dims=3, num_classes=1000)
    assert all(p.is_meta for p in net.parameters())


@pytest.mark.parametrize(("value", "shown"), [("two", "'two'"), (True, "True"), (2.5, "2.5")])
def test_option_that_counts_takes_whole_numbers_only(value, shown):
    with pytest.raises(ConfigError, match=rf"net\.levels: .*default, 5; got {shown}\. Give int"):
        create("unet_2015", levels=value)
