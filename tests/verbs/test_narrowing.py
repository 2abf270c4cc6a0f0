"""The width of a segmenter follows the time where it is ours to choose."""

from dataclasses import replace
from typing import Any

import pytest

import convivo
from convivo.files import read_json, write_json
from convivo.verbs import narrowing
from convivo.verbs.affording import Afforded
from convivo.verbs.budget import Budget
from convivo.verbs.cross_validate import as_wide
from convivo.verbs.settings import Settings


def settings(**sections: dict[str, Any]) -> Settings:
    return Settings.model_validate(sections)


def afforded(wish: Settings, *reasons: str) -> Afforded:
    width = wish.net.width or 1.0
    network = convivo.create("unet", spatial_dims=2, num_classes=2, width=width / 4)
    shape = {"network": {"in_channels": 1}, "sampling": {"size": [64, 64]}, "batch": 2}
    return Afforded(draft=shape | {"reasons": list(reasons)}, network=network, chosen=wish)


@pytest.mark.parametrize(
    ("seconds", "width", "told"),
    [(1000.0, 1.0, ""), (500.0, 0.5, "0.5 of its width: of the full one the time would hold"),
     (50.0, 0.25, "0.25 of its width: of the full one the time would hold about 38 steps")],
)  # fmt: skip
def test_the_width_is_halved_until_the_steps_are_enough(
    seconds: float, width: float, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = {1.0: 0.5, 0.5: 0.15, 0.25: 0.05}
    monkeypatch.setattr(
        narrowing, "step_seconds", lambda draft, network: 2 * taken[widths.pop(0)]
    )  # fmt: skip
    widths = [1.0, width]
    first = afforded(settings(net={"width": 1.0}))
    found = narrowing.narrowed(first, afforded, lambda: seconds)
    assert found.chosen.net.width == width
    assert told in "".join(found.draft["reasons"])


def test_a_narrower_network_that_is_hardly_faster_is_not_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(narrowing, "step_seconds", lambda draft, network: 1.0)
    first = afforded(settings(net={"width": 1.0}))
    found = narrowing.narrowed(first, afforded, lambda: 60.0)
    assert found.chosen.net.width == 1.0
    assert found.draft["reasons"] == []


def test_seconds_are_those_of_real_passes_and_leave_nothing() -> None:
    wide, narrow = afforded(settings(net={"width": 4.0})), afforded(settings(net={"width": 1.0}))
    assert narrowing.step_seconds(wide.draft, wide.network) > 0
    assert all(p.grad is None for p in wide.network.parameters())
    assert narrowing.step_seconds(replace(narrow).draft, narrow.network) > 0


def test_what_is_asked_for_stays() -> None:
    budget, chosen = Budget(0.0, 60.0, None), settings()
    assert narrowing.is_open(settings(), chosen, "segment", budget)
    assert not narrowing.is_open(settings(), chosen, "classify", budget)
    assert not narrowing.is_open(settings(), chosen, "segment", Budget(0.0, None, None))
    assert not narrowing.is_open(settings(), settings(train={"steps": 5}), "segment", budget)
    for net in ({"name": "unet"}, {"width": 1.0}, {"pretrained": "run"}, {"channels": [8, 16]}):
        assert not narrowing.is_open(settings(net=net), chosen, "segment", budget)


def test_folds_are_all_as_wide_as_the_first(tmp_path) -> None:
    given = {
        "config": None, "settings": ("train.batch=2",), "data": tmp_path, "layout": None,
        "task": None, "subject": None, "labels": None, "positive": None, "accept": (),
        "net": None, "epochs": None, "threads": None, "seed": 0, "precision": "auto",
    }  # fmt: skip
    assert as_wide(given, tmp_path) is given
    (tmp_path / "fold_0").mkdir()
    plan = {"task": "segment", "network": {"width": 0.25}}
    write_json(tmp_path / "fold_0" / "plan.json", plan)
    assert as_wide(given, tmp_path)["settings"] == ("train.batch=2", "net.width=0.25")
    assert as_wide(given | {"net": "unet"}, tmp_path)["settings"] == ("train.batch=2",)
    plan = read_json(tmp_path / "fold_0" / "plan.json") | {"task": "classify"}
    write_json(tmp_path / "fold_0" / "plan.json", plan)
    assert as_wide(given, tmp_path) is given
