"""What `train --net unet_2015` is given to see, and the settings of the weight map."""

from math import prod

import pytest

from convivo.architectures.unet_2015 import lattice, nearest_length
from convivo.errors import ConfigError
from convivo.verbs.choose import choose
from convivo.verbs.fingerprint import Facts
from convivo.verbs.seeing import PATCH_SAMPLES
from convivo.verbs.settings import InputSettings, NetSettings, Settings, TrainSettings
from convivo.verbs.valid_patch import SEEN

SHAPES = {1: (3000,), 2: (96, 112), 3: (35, 50, 36)}


def facts(dims: int, shape: tuple[int, ...] | None = None, task: str = "segment") -> Facts:
    found = shape or SHAPES[dims]
    return Facts(
        task=task, spatial_dims=dims, channels=1, num_classes=2, events=False, counts=(5, 5),
        shape_min=found, shape=found, shape_max=found, spacing=None, spacing_unit="px",
        dtype="uint8", items=20, flips=(), channel_names=(), oriented=False,
    )  # fmt: skip


def wish(**net: object) -> Settings:
    return Settings(net=NetSettings(name="unet_2015", **net))  # type: ignore[arg-type]


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("long", [False, True])
def test_the_patch_can_be_halved_and_its_answer_is_about_the_usual_one(
    dims: int, long: bool
) -> None:
    shape = tuple(n * 8 for n in SHAPES[dims]) if long else SHAPES[dims]
    chosen, reasons = choose(facts(dims, shape), wish())
    levels = chosen.net.options["levels"]
    size = chosen.input.size or []
    _, margin, _ = lattice(levels)
    assert [nearest_length(n, levels) for n in size] == size
    assert prod(size) <= SEEN * PATCH_SAMPLES[dims]
    assert levels == (3 if dims == 3 else 5)
    assert any("the image is mirrored at its ends" in reason for reason in reasons)
    assert any("3 levels: more would need" in reason for reason in reasons) == (dims == 3)
    if not long and dims < 3:
        assert all(n - 2 * margin >= have for n, have in zip(size, shape, strict=True))


def test_levels_and_size_stay_as_they_were_set() -> None:
    chosen, _ = choose(facts(2), wish(levels=4))
    assert chosen.net.options["levels"] == 4
    assert chosen.input.size == [188, 204]
    asked = wish().model_copy(update={"input": InputSettings(size=[300, 300])})
    chosen, _ = choose(facts(2), asked)
    assert chosen.input.size == [300, 300]
    assert "levels" not in chosen.net.options


@pytest.mark.parametrize(
    ("levels", "rule"), [(1, "two levels or more, .*levels=1"), ("many", "a value of the kind")]
)
def test_levels_that_cannot_be_are_refused_by_the_network(levels: object, rule: str) -> None:
    with pytest.raises(ConfigError, match=f"net.levels: {rule}"):
        choose(facts(2), wish(levels=levels))


def test_a_large_width_is_the_number_of_channels_of_the_first_level() -> None:
    chosen, _ = choose(facts(2), wish(width=32))
    assert chosen.net.width == 0.5


def test_the_weight_map_s_reach_is_the_published_one_unless_set() -> None:
    for given, expected in ((None, 5.0), (2.0, 2.0)):
        train = TrainSettings(border_weight=10, border_sigma=given)
        chosen, _ = choose(facts(2), Settings(train=train))
        assert (chosen.train.border_weight, chosen.train.border_sigma) == (10, expected)
    chosen, _ = choose(facts(2), Settings())
    assert (chosen.train.border_weight, chosen.train.border_sigma) == (None, None)


@pytest.mark.parametrize(
    ("task", "train"),
    [("classify", {"border_weight": 10}), ("segment", {"border_sigma": 2.0})],
)
def test_a_weight_map_without_effect_is_refused(task: str, train: dict[str, float]) -> None:
    rule = "train.border_weight: the weight map needs label maps, and a border_weight above 0; got"
    with pytest.raises(ConfigError, match=rule):
        choose(facts(2, task=task), Settings(train=TrainSettings(**train)))  # type: ignore[arg-type]
