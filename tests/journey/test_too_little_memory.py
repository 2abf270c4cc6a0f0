"""A memory that nothing fits into: the least that would do is told, and it does."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import convivo
from convivo.cli import main
from convivo.errors import PlanError

from .tiny_runs import TINY, Journey, make_data, train_tiny, valid

Journeys = Callable[[str], Journey]
Captured = pytest.CaptureFixture[str]
LEAST = re.compile(r"needs at least ([\d,]+) MiB.*; got 1 MiB\. Give --ram (\d+)M\b")


def enough(line: str) -> str:
    """The option that a refusal asks for; it must be what it says is needed, rounded up."""
    told = LEAST.search(line)
    assert told is not None, line
    need, given = int(told[1].replace(",", "")), int(told[2])
    assert need <= given < need + 10
    return f"{given}M"


def refused(shown: Captured, *words: object) -> str:
    """The one line of a command that is given 1 MiB."""
    assert main([*map(str, words), "--ram", "1M", "-q", "--json"]) == 1
    answer = shown.readouterr()
    (line,) = answer.err.splitlines()
    assert line.startswith("convivo: error: ")
    valid("error", answer.out)
    return line


@pytest.mark.parametrize(
    "words",
    [
        ["--net", "lenet5", "--input", "1,28,28"],
        ["--net", "unet", "--input", "1,96,80", "--mode", "infer"],
        ["--net", "resnet18", "--input", "2,352"],
    ],
)
def test_planning(words: list[str], capsys: Captured) -> None:
    ram = enough(refused(capsys, "plan", *words))
    assert main(["plan", *words, "--ram", ram, "--json"]) == 0
    document = valid("plan", capsys.readouterr().out)
    assert document["solution"]["bytes"] <= document["solution"]["limit"]


@pytest.mark.parametrize("kind", ["cells", "fields"])
def test_training(kind: str, capsys: Captured, tmp_path: Path) -> None:
    data, out = make_data(kind, tmp_path / "data"), tmp_path / "run"
    words = ["train", data, "--out", out, "--epochs", 1, "--threads", 1, "--set", *TINY]
    ram = enough(refused(capsys, *words))
    assert not out.exists()
    assert main([*map(str, words), "--ram", ram, "-q", "--json"]) == 0
    plan = json.loads((out / "plan.json").read_text(encoding="utf-8"))
    assert plan["memory"]["process_bound"] <= plan["solution"]["limit"]


@pytest.mark.parametrize("kind", ["cells", "fields", "signals"])
def test_evaluating(kind: str, copied_run: Callable[[str], Path], capsys: Captured) -> None:
    run = copied_run(kind)
    ram = enough(refused(capsys, "evaluate", run))
    assert main(["evaluate", str(run), "--ram", ram, "-q", "--json"]) == 0


@pytest.mark.parametrize("kind", ["cells", "fields", "signals"])
def test_predicting(kind: str, journey: Journeys, capsys: Captured, tmp_path: Path) -> None:
    """Each input is told with what it would need, and the status is that of inputs that failed."""
    known = journey(kind)
    words = ["predict", str(known.run.path), str(known.inputs), "--out", str(tmp_path / "out")]
    assert main([*words, "--ram", "1M", "-q", "--json"]) == 1
    document = valid("predict", capsys.readouterr().out)
    assert document["done"] == 0
    asked = {enough(failure["error"]) for failure in document["failed"]}
    ram = f"{max(int(word[:-1]) for word in asked)}M"
    assert main([*words, "--ram", ram, "-q", "--json"]) == 0
    assert not valid("predict", capsys.readouterr().out)["failed"]


class Picks(nn.Module):
    """Answers about the brightest samples alone: how many that are depends on the values."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.seen = nn.Conv2d(channels, 4, 3, padding=1)
        self.answer = nn.Linear(4, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.seen(images)
        rows = []
        for one in features:
            bright = one[:, one.mean(0) > one.mean()]
            rows.append(bright.mean(1))
        return self.answer(torch.stack(rows))


def test_a_network_that_cannot_be_traced_is_told_with_the_operation() -> None:
    rule = r"^Picks: memory is told of networks that run on shapes alone; "
    got = r"got aten\.nonzero\S*, whose result depends on the values\. Write it with sizes"
    for ram in (None, "4G"):
        with pytest.raises(PlanError, match=rule + got) as told:
            convivo.plan(Picks(1), input=(1, 8, 8), batch=2, ram=ram)
        assert told.value.exit_status == 1


def test_it_is_trained_nevertheless_and_the_plan_says_why_it_has_no_memory(tmp_path: Path) -> None:
    data = make_data("cells", tmp_path / "data")
    with pytest.raises(PlanError, match=r"^--ram: the memory must hold the network, .*; got 1 MiB"):
        train_tiny(data, tmp_path / "run", net=Picks(3), ram="1M", epochs=1)
    run = train_tiny(data, tmp_path / "run", net=Picks(3), ram="4G", epochs=1)
    (reason,) = [text for text in run.plan["reasons"] if "memory is not planned" in text]
    assert "aten.nonzero" in reason
    assert run.plan["memory"]["tensors_peak"] is None


def test_weights_that_no_memory_holds_are_refused_before_they_are_drawn(tmp_path: Path) -> None:
    data = make_data("cells", tmp_path / "data")
    with pytest.raises(PlanError, match=r"memory must hold the weights of resnet18, [\d.,]+ GiB"):
        convivo.train(
            data, out=tmp_path / "run", settings=("net.width=20000",), epochs=1, quiet=True
        )
    assert not (tmp_path / "run").exists()
