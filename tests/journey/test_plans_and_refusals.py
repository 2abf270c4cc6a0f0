"""A plan made first and trained later; networks and settings that cannot work, refused at once."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import convivo
from convivo.errors import ConfigError, ConvivoError, ShapeError, UsageError

from .tiny_runs import Journey, train_tiny

Journeys = Callable[[str], Journey]


def test_a_plan_of_data_is_trained(journey: Journeys, tmp_path: Path) -> None:
    data = convivo.inspect(journey("cells").data)
    plan = convivo.plan(data, net="lenet5", batch=4)
    assert plan.document()["batch"] == 4
    run = convivo.train(data, out=tmp_path / "run", plan=plan, epochs=1, threads=1, quiet=True)
    trained = json.loads((run.path / "plan.json").read_text(encoding="utf-8"))
    assert (trained["net"], trained["batch"]) == ("lenet5", 4)
    assert trained["parameters"] == plan.document()["parameters"]


def test_a_plan_without_data_cannot_be_trained(journey: Journeys, tmp_path: Path) -> None:
    plan = convivo.plan(net="resnet18", input=(1, 40, 44))
    with pytest.raises(UsageError, match="--plan: the plan of a training; got another document"):
        train_tiny(journey("cells").data, tmp_path / "run", plan=plan)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("kind", "net"), [("cells", "unet"), ("fields", "resnet18")])
def test_a_network_for_another_task_is_refused(
    kind: str, net: str, journey: Journeys, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"--net: a network that can (classify|segment); got"):
        train_tiny(journey(kind).data, tmp_path / "run", net=net)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "setting", ["train.batch=0", "train.lr=-1.0", "train.epochs=0", "input.size=[0,4]"]
)
def test_numbers_that_cannot_be_are_refused(
    setting: str, journey: Journeys, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=setting.partition("=")[0]):
        train_tiny(journey("cells").data, tmp_path / "run", settings=(setting,))
    assert not (tmp_path / "run").exists()


class Wrong(nn.Module):
    """Answers with five numbers whatever the classes are."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x.flatten(1).mean(1, keepdim=True))


def test_an_own_network_with_another_number_of_answers(journey: Journeys, tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match=r"Wrong: the network must answer .* got \(\d+, 5\)"):
        train_tiny(journey("cells").data, tmp_path / "run", net=Wrong())
    assert not (tmp_path / "run").exists()


def test_a_time_that_holds_nothing_says_what_would_do(journey: Journeys, tmp_path: Path) -> None:
    with pytest.raises(ConvivoError, match=r"--time: .*; got 0 s left .*Allow \d+ s more"):
        convivo.train(journey("cells").data, out=tmp_path / "run", time=1.0, quiet=True)
    assert not (tmp_path / "run").exists()


def test_reading_options_without_data_are_refused(journey: Journeys) -> None:
    with pytest.raises(UsageError, match=r"evaluate: how data is read .*got layout\. Add --data"):
        journey("cells").run.evaluate(layout="msd")
