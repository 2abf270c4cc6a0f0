"""The cost of a network follows the time where it is ours to choose."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import convivo
from convivo.data.phantoms import make_images
from convivo.files import read_json, write_json
from convivo.verbs import narrowing
from convivo.verbs.affording import Afforded, tell_what_stays
from convivo.verbs.budget import Budget
from convivo.verbs.cross_validate import as_wide
from convivo.verbs.settings import Settings


def settings(**sections: dict[str, Any]) -> Settings:
    return Settings.model_validate(sections)


def afforded(wish: Settings, *reasons: str) -> Afforded:
    width, coarse = wish.net.width or 1.0, bool(wish.net.options.get("coarse"))
    shape = {"spatial_dims": 2, "num_classes": 2, "width": width / 4}
    network = convivo.create("unet", **shape, coarse=coarse)
    draft = {"network": {"in_channels": 1}, "sampling": {"size": [64, 64]}, "batch": 2}
    return Afforded(draft=draft | {"reasons": list(reasons)}, network=network, chosen=wish)


WHOLE, COARSE, HALF = (False, 1.0), (True, 1.0), (True, 0.5)


def stepping(seconds: dict[tuple[bool, float], float]) -> Any:
    """Steps that take so long, by whether the network is coarse and how wide it is."""

    def taken(draft: dict[str, Any], network: Any) -> float:
        return seconds[network.restore is not None, network.encoder[0][0].out_channels / 8]

    return taken


@pytest.mark.parametrize(
    ("seconds", "came_to", "told"),
    [(1500.0, WHOLE, ""),
     (500.0, COARSE, "coarser by one level: of the whole network the time would hold about 375"),
     (50.0, HALF, "coarser by one level, 0.5 of its width: of the whole network the time would")],
)  # fmt: skip
def test_the_network_gets_cheaper_until_the_steps_are_enough(
    seconds: float, came_to: tuple[bool, float], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(narrowing, "step_seconds", stepping({WHOLE: 1.0, COARSE: 0.3, HALF: 0.1}))
    first = afforded(settings(net={"width": 1.0}))
    found = narrowing.narrowed(first, afforded, lambda: seconds)
    chosen = found.chosen.net
    assert (bool(chosen.options.get("coarse")), chosen.width) == came_to
    assert (found.network.restore is not None) == came_to[0]
    assert told in "".join(found.draft["reasons"])


@pytest.mark.parametrize(
    ("seconds", "came_to"),
    [({WHOLE: 1.0, COARSE: 0.9}, WHOLE), ({WHOLE: 1.0, COARSE: 0.3, HALF: 0.29}, COARSE)],
)
def test_a_cheaper_network_that_is_hardly_faster_is_not_taken(
    seconds: dict[tuple[bool, float], float],
    came_to: tuple[bool, float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(narrowing, "step_seconds", stepping(seconds))
    first = afforded(settings(net={"width": 1.0}))
    found = narrowing.narrowed(first, afforded, lambda: 60.0)
    chosen = found.chosen.net
    assert (bool(chosen.options.get("coarse")), chosen.width) == came_to
    assert bool(found.draft["reasons"]) == came_to[0]


def classifying(wish: Settings, *reasons: str) -> Afforded:
    net = wish.net
    network = convivo.create(
        "resnet18", in_channels=1, num_classes=2, width=net.width, stem=net.options["stem"]
    )
    draft = {"network": {"in_channels": 1}, "sampling": {"size": [32, 32]}, "batch": 4}
    draft |= {"task": "classify", "reasons": list(reasons)}
    return Afforded(draft=draft, network=network, chosen=wish)


@pytest.mark.parametrize(
    ("seconds", "came_to", "told"),
    [(150.0, ("medium", 0.5), ""),
     (100.0, ("published", 0.5), "a first layer that halves once more: of the whole network the"),
     (20.0, ("published", 0.25), "0.25 of its published width: of the whole network the time"),
     (1.0, ("published", 0.125), "0.125 of its published width: of the whole network the time")],
)  # fmt: skip
def test_a_classifier_gets_cheaper_too(
    seconds: float, came_to: tuple[str, float], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs = {("medium", 0.5): 1.0, ("published", 0.5): 0.2, ("published", 0.25): 0.1}
    costs[("published", 0.125)] = 0.05

    def taken(draft: dict[str, Any], network: Any) -> float:
        width = network.conv1.out_channels / 64
        return costs["published" if network.stem.pooled else "medium", width]

    monkeypatch.setattr(narrowing, "step_seconds", taken)
    first = classifying(settings(net={"name": "resnet18", "width": 0.5, "stem": "medium"}))
    found = narrowing.narrowed(first, classifying, lambda: seconds)
    assert (found.chosen.net.options["stem"], found.chosen.net.width) == came_to
    assert told in "".join(found.draft["reasons"])


def test_a_classifiers_step_is_timed_though_its_last_grid_is_a_single_sample() -> None:
    found = classifying(settings(net={"name": "resnet18", "width": 0.125, "stem": "published"}))
    assert narrowing.step_seconds(found.draft, found.network) > 0


def test_seconds_are_those_of_real_passes_and_leave_nothing() -> None:
    wide, narrow = afforded(settings(net={"width": 4.0})), afforded(settings(net={"width": 1.0}))
    assert narrowing.step_seconds(wide.draft, wide.network) > 0
    assert all(p.grad is None for p in wide.network.parameters())
    assert narrowing.step_seconds(replace(narrow).draft, narrow.network) > 0


@pytest.mark.parametrize(
    ("taken", "told"),
    [([9.0, 0.5, 0.25, 0.75, 0.5], 0.5), ([9.0, 2.0, 1.5, 0.1, 0.1], 3.0), ([1.0, 4.0], 8.0)],
)
def test_the_quickest_of_a_few_passes_counts(
    monkeypatch: pytest.MonkeyPatch, taken: list[float], told: float
) -> None:
    """A batch of 2; the first pass does not count, and after 3 s of the others it is enough."""

    def clock(values: list[float]) -> Any:
        ends = iter([look for one in values for look in (0.0, one)])
        return lambda: next(ends)

    fake = SimpleNamespace(monotonic=clock(taken), process_time=clock(taken))
    monkeypatch.setattr(narrowing, "clock", fake)
    found = afforded(settings())
    assert narrowing.step_seconds(found.draft, found.network) == told


def test_what_is_asked_for_stays() -> None:
    budget, chosen = Budget(0.0, 60.0, None), settings()
    assert narrowing.is_open(settings(), chosen, "segment", budget)
    assert narrowing.is_open(settings(), chosen, "classify", budget)
    assert not narrowing.is_open(settings(), chosen, "generate", budget)
    assert not narrowing.is_open(settings(net={"stem": "small"}), chosen, "classify", budget)
    assert not narrowing.is_open(settings(), chosen, "segment", Budget(0.0, None, None))
    assert not narrowing.is_open(settings(), settings(train={"steps": 5}), "segment", budget)
    for net in ({"name": "unet"}, {"width": 1.0}, {"pretrained": "run"}, {"coarse": False},
                {"encoder": "resnet18"}):  # fmt: skip
        assert not narrowing.is_open(settings(net=net), chosen, "segment", budget)


def test_folds_all_take_the_network_of_the_first(tmp_path) -> None:
    given = {
        "config": None, "settings": ("train.batch=2",), "data": tmp_path, "layout": None,
        "task": None, "subject": None, "labels": None, "positive": None, "accept": (),
        "net": None, "epochs": None, "threads": None, "seed": 0, "precision": "auto",
    }  # fmt: skip
    assert as_wide(given, tmp_path) is given
    (tmp_path / "fold_0").mkdir()
    plan = {"task": "segment", "network": {"width": 0.25, "options": {}}}
    write_json(tmp_path / "fold_0" / "plan.json", plan)
    assert as_wide(given, tmp_path)["settings"] == ("train.batch=2", "net.width=0.25")
    assert as_wide(given | {"net": "unet"}, tmp_path)["settings"] == ("train.batch=2",)
    plan["network"]["options"] = {"coarse": True}
    write_json(tmp_path / "fold_0" / "plan.json", plan)
    assert as_wide(given, tmp_path)["settings"][1:] == ("net.width=0.25", "net.coarse=true")
    plan["network"]["options"] = {"stem": "medium"}
    write_json(tmp_path / "fold_0" / "plan.json", plan | {"task": "classify"})
    assert as_wide(given, tmp_path)["settings"][1:] == ("net.width=0.25", "net.stem=medium")
    write_json(tmp_path / "fold_0" / "plan.json", plan | {"task": "generate"})
    assert as_wide(given, tmp_path) is given


def test_what_stays_is_told_of_the_process_and_not_of_its_tensors() -> None:
    memory = {"tensors_peak": 5, "overhead": 10, "process_peak": 15, "process_bound": 20}
    draft: dict[str, Any] = {"memory": dict(memory)}
    tell_what_stays(draft, -3)
    assert draft["memory"] == memory
    tell_what_stays(draft, 7)
    assert draft["memory"] == {
        "tensors_peak": 5, "overhead": 17, "process_peak": 22, "process_bound": 27,
    }  # fmt: skip


@pytest.mark.slow  # it takes the minute it is given
def test_a_training_that_time_makes_cheaper_is_made_and_predicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(narrowing, "ENOUGH_STEPS", 10**9)
    monkeypatch.setattr(narrowing, "WORTH", 10**9)  # whatever this machine finds faster
    data = make_images(tmp_path / "data", count=12, size=(32, 48), seed=3)
    run = convivo.train(data, out=tmp_path / "run", time="60s", quiet=True)
    network = read_json(run.path / "plan.json")["network"]
    assert network["options"]["coarse"]
    assert network["width"] == 0.5
    assert "coarser by one level, 0.5 of its width" in "".join(
        read_json(run.path / "plan.json")["reasons"]
    )
    assert run.network.restore is not None
    shown = convivo.predict(run, data / "images", out=tmp_path / "masks", quiet=True)
    assert shown["done"] == len(list((data / "images").iterdir()))
