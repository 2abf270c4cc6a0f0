"""The rule that completes a configuration: what it picks, and that it leaves alone what was set."""

import pytest

from convivo.errors import ConfigError
from convivo.verbs.choose import choose
from convivo.verbs.fingerprint import Facts
from convivo.verbs.settings import (
    AugmentSettings,
    InputSettings,
    NetSettings,
    Settings,
    TrainSettings,
)

IMAGES = {
    "task": "classify",
    "spatial_dims": 2,
    "channels": 1,
    "num_classes": 2,
    "events": False,
    "counts": (900, 800),
    "shape_min": (50, 60),
    "shape": (50, 60),
    "shape_max": (50, 60),
    "spacing": None,
    "spacing_unit": "px",
    "dtype": "uint8",
    "items": 1700,
    "flips": (0, 1),
    "channel_names": (),
    "oriented": False,
}


def facts(**changes: object) -> Facts:
    return Facts(**(IMAGES | changes))


VOLUMES = {
    "task": "segment",
    "spatial_dims": 3,
    "counts": (0, 0, 0),
    "num_classes": 3,
    "shape_min": (31, 40, 24),
    "shape": (35, 50, 36),
    "shape_max": (43, 59, 47),
    "spacing": (1.0, 1.0, 1.0),
    "spacing_unit": "mm",
    "dtype": "float32",
    "items": 100,
    "oriented": True,
}


def test_whole_images_of_one_size_keep_it() -> None:
    chosen, reasons = choose(facts(), Settings())
    assert (chosen.input.sampling, chosen.input.size) == ("whole", [50, 60])
    assert chosen.net.name == "resnet18"
    assert chosen.net.options["stem"] == "medium"
    assert chosen.input.normalization == "fixed"
    assert any("size that all have" in reason for reason in reasons)


def test_large_images_are_brought_down_and_keep_their_aspect() -> None:
    chosen, _ = choose(
        facts(shape_min=(400, 500), shape=(448, 896), shape_max=(900, 900)), Settings()
    )
    assert chosen.input.size == [112, 224]


def test_volumes_with_labels_get_a_unet_whose_patch_it_can_halve() -> None:
    chosen, _ = choose(facts(**VOLUMES), Settings())
    assert chosen.net.name == "unet"
    assert chosen.input.sampling == "patch"
    assert chosen.input.orientation == "RAS"
    total = [1, 1, 1]
    for stride in chosen.net.options["strides"]:
        total = [t * s for t, s in zip(total, stride, strict=True)]
    size = chosen.input.size or []
    assert all(n % t == 0 for n, t in zip(size, total, strict=True))
    assert all(n >= m for n, m in zip(size, (35, 50, 36), strict=True))


def test_thick_slices_are_not_convolved_at_first() -> None:
    thick = facts(
        **VOLUMES | {"shape": (128, 128, 20), "spacing": (1.0, 1.0, 5.0)},
    )
    chosen, _ = choose(thick, Settings())
    assert chosen.net.options["kernels"][0] == [3, 3, 1]
    assert chosen.net.options["strides"][1] == [2, 2, 1]


BEATS = {
    "spatial_dims": 1,
    "events": True,
    "channels": 2,
    "num_classes": 4,
    "counts": (9000, 200, 700, 80),
    "shape_min": (650000,),
    "shape": (650000,),
    "shape_max": (650000,),
    "spacing": (1 / 360,),
    "spacing_unit": "s",
    "dtype": "float32",
    "items": 9980,
    "flips": (),
    "channel_names": ("MLII",),
}


def test_beats_are_seen_beside_their_rhythm_and_rare_ones_more_often() -> None:
    chosen, reasons = choose(facts(**BEATS), Settings())
    assert chosen.input.sampling == "window"
    assert chosen.input.spacing == pytest.approx([1 / 120])
    assert (chosen.input.size, chosen.input.before) == ([144], 0.45)
    assert chosen.input.channels == ["MLII"]
    assert chosen.train.balance == 0.5
    assert chosen.input.reference is chosen.input.rhythm is True
    assert chosen.input.normalization == "zscore"
    assert any("120 Hz" in reason for reason in reasons)


def test_what_is_usual_is_shown_where_moments_are_told_apart() -> None:
    own, _ = choose(facts(**BEATS), Settings(), "MyModule")
    rebuilt, _ = choose(facts(**BEATS | {"task": "reconstruct"}), Settings())
    unasked, _ = choose(facts(**BEATS), Settings(input={"reference": False, "rhythm": False}))
    assert not any(one.input.reference or one.input.rhythm for one in (own, rebuilt, unasked))
    # without their rhythm, beside their neighbours
    assert all(one.input.size == [360] for one in (own, unasked))
    assert all(one.input.before == 0.55 for one in (own, unasked))
    assert (rebuilt.input.size, rebuilt.input.before) == ([144], 0.45)
    assert rebuilt.input.normalization == "robust"
    for name in ("reference", "rhythm"):
        with pytest.raises(ConfigError, match=rf"input\.{name}: .*moments of records, to tell"):
            choose(facts(**BEATS | {"events": False}), Settings(input={name: True}))


def test_series_of_different_length_are_cropped() -> None:
    chosen, _ = choose(
        facts(**BEATS | {"events": False, "shape_min": (2000,), "shape": (9000,)}), Settings()
    )
    assert chosen.input.sampling == "crop"
    assert chosen.input.size == [3000]


def test_generators_are_narrow_and_quick_unless_slopes_are_penalised() -> None:
    pictures = facts(task="generate", shape_min=(32, 32), shape=(32, 32), shape_max=(32, 32))
    plain, _ = choose(pictures, Settings())
    penalised, _ = choose(pictures, Settings(task={"loss": "wgan-gp"}))
    own, _ = choose(pictures, Settings(task={"loss": "wgan-gp"}, train={"lr": 3e-4}))
    assert (plain.net.width, plain.train.lr) == (0.25, 1e-3)
    assert plain.train.patience == 0
    assert (penalised.train.lr, own.train.lr) == (2e-4, 3e-4)


def test_what_the_user_set_stays() -> None:
    wish = Settings(
        net=NetSettings(name="resnet34", width=0.25),
        train=TrainSettings(batch=5, lr=0.3),
        input=InputSettings(size=[32, 32], normalization="zscore"),
    )
    chosen, _ = choose(facts(), wish)
    assert (chosen.net.name, chosen.net.width) == ("resnet34", 0.25)
    assert (chosen.train.batch, chosen.train.lr) == (5, 0.3)
    assert (chosen.input.size, chosen.input.normalization) == ([32, 32], "zscore")


def test_a_width_from_four_on_counts_the_first_channels() -> None:
    chosen, _ = choose(facts(), Settings(net=NetSettings(name="resnet18", width=32)))
    assert chosen.net.width == 0.5
    chosen, _ = choose(facts(**VOLUMES), Settings(net=NetSettings(width=16)))
    assert chosen.net.width == 0.5


def test_a_network_named_by_the_user_keeps_its_published_width() -> None:
    named, _ = choose(facts(), Settings(net=NetSettings(name="resnet18")))
    ours, _ = choose(facts(), Settings())
    assert named.net.width == 1.0
    assert ours.net.width == 0.5


def test_the_batch_leaves_many_steps_to_an_epoch() -> None:
    small, _ = choose(facts(items=80), Settings())
    large, _ = choose(facts(items=60_000), Settings())
    assert small.train.batch == 8
    assert large.train.batch == 128


@pytest.mark.parametrize(
    ("name", "stem", "size"),
    [
        ("vgg11", None, [32, 32]),
        ("alexnet", None, [63, 63]),
        ("resnext50_32x4d", "small", [28, 28]),
    ],
)
def test_small_images_get_the_size_or_the_first_layer_that_a_named_network_needs(name, stem, size):
    small = dict.fromkeys(("shape", "shape_min", "shape_max"), (28, 28))
    chosen, reasons = choose(facts(**small), Settings(net=NetSettings(name=name)))
    assert chosen.input.size == size
    assert chosen.net.options.get("stem") == stem
    assert any(f"{name} takes no less" in reason for reason in reasons) == (stem is None)
    asked = Settings(net=NetSettings(name=name), input=InputSettings(size=[28, 28]))
    assert choose(facts(**small), asked)[0].input.size == [28, 28]


@pytest.mark.parametrize(
    ("found", "wish", "said"),
    [
        (VOLUMES, {}, "patches of 48 x 64 x 48: the median case is 35 x 50 x 36; unet"),
        (BEATS, {}, "windows of 144: 1.2 s, a beat and little else"),
        (BEATS, {"input": {"rhythm": False}}, "windows of 360: 3 s, since a beat is judged"),
        (BEATS | {"spacing": None}, {}, "windows of 256: a beat is judged"),
        (BEATS | {"task": "generate"}, {}, "windows of 128: a generator doubles its axes"),
        ({}, {"input": InputSettings(size=[40, 48])}, "whole cases at 40 x 48: as asked"),
        ({}, {"augment": AugmentSettings(flips=[1])}, "mirrored axes: 1 (as asked)"),
    ],
)
def test_a_reason_tells_of_what_is_done(found: dict, wish: dict, said: str) -> None:
    net = NetSettings(name="unet", levels=5) if found is VOLUMES else NetSettings()
    chosen, reasons = choose(facts(**found), Settings(net=net, **wish))
    (size,) = [r for r in reasons if r.startswith(("patches", "windows", "whole", "crops"))]
    assert " x ".join(map(str, chosen.input.size or ())) in size
    assert any(reason.startswith(said) for reason in reasons), reasons


def test_balance_that_was_set_is_not_told_as_ours() -> None:
    chosen, reasons = choose(facts(**BEATS), Settings(train=TrainSettings(balance=0.0)))
    assert chosen.train.balance == 0.0
    assert not any("rare classes" in reason for reason in reasons)


def test_of_a_network_that_was_given_no_other_is_told() -> None:
    _, reasons = choose(facts(), Settings(), "Mine")
    assert "Mine: the network as given" in reasons
    assert not any("resnet18" in reason or "first layer" in reason for reason in reasons)
