"""What the choosing rule asks of a segmenting network before it fixes the patch."""

import pytest

from convivo.errors import ConfigError
from convivo.verbs.choose import choose
from convivo.verbs.fingerprint import Facts
from convivo.verbs.network_needs import encoder_settings, fitting_size
from convivo.verbs.settings import InputSettings, NetSettings, Settings

IMAGES = Facts(
    task="segment",
    spatial_dims=2,
    channels=1,
    num_classes=3,
    events=False,
    counts=(0, 0),
    shape_min=(36, 44),
    shape=(36, 44),
    shape_max=(36, 44),
    spacing=None,
    spacing_unit="px",
    dtype="uint8",
    items=20,
    flips=(),
    channel_names=(),
    oriented=False,
)


def chosen(size: list[int] | None = None, **net: object) -> tuple[Settings, list[str]]:
    wish = Settings(net=NetSettings(width=0.125, **net), input=InputSettings(size=size))
    return choose(IMAGES, wish)


@pytest.mark.parametrize(
    ("net", "size"),
    [
        ({"name": "unet", "encoder": "vgg11"}, [64, 64]),
        (
            {"name": "unet", "encoder": "resnet18", "encoder_options": {"stem": "published"}},
            [64] * 2,
        ),
        ({"name": "unet", "encoder": "resnet18", "encoder_options": {"stem": "small"}}, [40, 48]),
        ({"name": "fcn8s"}, [40, 48]),
        ({"name": "segnet"}, [40, 48]),
    ],
)
def test_patch_is_one_that_the_network_takes(net: dict[str, object], size: list[int]) -> None:
    settings, _ = chosen(**net)
    assert settings.input.size == size


def test_least_size_counts_too() -> None:
    segnet = NetSettings(name="segnet", width=0.125)
    assert fitting_size(segnet, [8, 24, 40], channels=2, num_classes=2) == [32, 32, 40]


def test_networks_that_are_not_ours_take_what_there_is() -> None:
    own = NetSettings(name="MyNetwork")
    assert fitting_size(own, [7, 9], channels=1, num_classes=2) == [7, 9]


def test_size_that_was_asked_for_stays() -> None:
    settings, _ = chosen(size=[96, 80], name="unet", encoder="vgg11")
    assert settings.input.size == [96, 80]


def test_small_patches_get_an_encoder_with_a_small_stem() -> None:
    settings, reasons = chosen(name="unet", encoder="resnet18")
    assert settings.net.options == {
        "encoder": "resnet18",
        "encoder_options": {"stem": "medium"},
        "deep_supervision": True,
    }
    assert settings.input.size == [48, 48]
    assert any("a first layer that halves once" in reason for reason in reasons)


def test_what_was_said_of_the_encoder_stays() -> None:
    settings, reasons = chosen(
        name="unet", encoder="resnet18", encoder_options={"norm": "group"}, deep_supervision=False
    )
    assert settings.net.options["encoder_options"] == {"norm": "group"}
    assert settings.net.options["deep_supervision"] is False
    assert not any("first layer" in reason for reason in reasons)


def test_encoders_without_a_choice_of_stem_have_no_options() -> None:
    assert encoder_settings("vgg11", "small") == {}
    assert encoder_settings("no such network", "small") == {}
    assert encoder_settings("densenet121", "small") == {"encoder_options": {"stem": "small"}}


def test_unknown_option_of_a_segmenter_is_refused_before_anything_is_read() -> None:
    with pytest.raises(ConfigError, match=r"net\.encodr: .*'encoder'"):
        chosen(name="fcn8s", encodr="vgg11")
