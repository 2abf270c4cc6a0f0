"""plan --ram, --vram: what fits is found by traces of the step, and told."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from jsonschema import Draft202012Validator
from torch import Tensor, nn

import convivo
from convivo import schemas
from convivo.cli import main
from convivo.config import size
from convivo.data.phantoms import make_images
from convivo.errors import PlanError, UsageError
from convivo.planning.accelerator import on_accelerator
from convivo.training.precision import multiplies_bf16

UNET: dict[str, Any] = {"net": "unet", "settings": ("net.levels=2", "net.channels=[8,16]")}


def solution_of(**options: Any) -> dict[str, Any]:
    document = convivo.plan(**options).document()
    Draft202012Validator(schemas.schema("plan")).validate(document)
    return document


@pytest.mark.parametrize(
    ("axes", "mode"), [((352,), "infer"), ((40, 56), "train"), ((16, 24, 32), "infer")]
)
def test_the_batch_is_the_largest(axes: tuple[int, ...], mode: str) -> None:
    document = solution_of(**UNET, input=(1, *axes), ram="600M", mode=mode)
    batch, solution = document["batch"], document["solution"]
    assert document["fits"] is True
    assert solution["batch"] == batch > 1
    assert solution["patch"] == list(axes)
    bound, limit = document["memory"]["process_bound"], solution["limit"]
    assert solution["bytes"] <= bound <= limit == 600 * 2**20
    # what a training may take by bad luck is refused to it past the limit
    assert mode == "train" or solution["bytes"] == bound
    assert {s["batch"]: s["fits"] for s in solution["steps"]}[batch + 1] is False


def test_more_memory_takes_more_and_predicting_takes_less() -> None:
    asked: dict[str, Any] = {"net": "lenet5", "input": (1, 28, 28)}
    large, small = (solution_of(**asked, ram=n, mode="infer")["batch"] for n in ("500M", "400M"))
    training = solution_of(**asked, ram="400M")["batch"]
    assert 1 < training < small < large


def test_the_memory_of_an_accelerator_holds_the_tensors_and_its_context() -> None:
    asked: dict[str, Any] = {**UNET, "input": (1, 40, 56), "batch": 4, "mode": "infer"}
    peak = on_accelerator(solution_of(**asked)["memory"]["tensors_peak"])
    assert solution_of(**asked, vram=peak)["fits"] is True
    assert solution_of(**asked, vram=peak - 1)["fits"] is False
    with pytest.raises(PlanError, match=r"needs at least \d+ MiB beside the accelerator"):
        convivo.plan(**asked, vram=peak, ram="10M")


def test_a_batch_that_does_not_fit_is_told_with_the_nearest_that_does() -> None:
    plan = convivo.plan(net="lenet5", input=(1, 28, 28), batch=40_000, ram="400M", mode="infer")
    document, solution = plan.document(), plan.document()["solution"]
    assert (document["batch"], document["fits"]) == (40_000, False)
    assert solution["batch"] * solution["accumulate"] >= 40_000
    assert solution["batch"] * (solution["accumulate"] - 1) < 40_000
    assert "does not fit 400 MiB; does: batch" in plan.text()
    assert "passes an update" in plan.text()


def test_a_volume_too_large_is_seen_in_patches() -> None:
    document = solution_of(**UNET, input=(1, 256, 256, 192), ram="500M", mode="infer")
    solution = document["solution"]
    assert document["input"] == [1, *solution["patch"]]
    assert max(solution["patch"]) < 192
    assert all(n % 2 == 0 for n in solution["patch"])
    told = [text[:5] for text in solution["price"]]
    # the wished format stays exactly where it fits at this patch, too
    wished = solution_of(**UNET, input=(1, *solution["patch"]), mode="infer", precision="fp32")
    stays = wished["memory"]["process_bound"] <= 500 * 2**20
    other = multiplies_bf16() and not stays
    assert (solution["precision"], told) == (
        ("bf16", ["bf16:", "the n"]) if other else ("fp32", ["the n"])
    )


def test_a_number_format_that_was_given_stays() -> None:
    asked: dict[str, Any] = {
        "input": (1, 96, 88),
        "ram": "600M",
        "precision": "fp32",
        "mode": "infer",
    }
    solution = solution_of(**UNET, **asked)["solution"]
    assert {step["precision"] for step in solution["steps"]} == {"fp32"}


def test_a_classifier_keeps_its_input() -> None:
    with pytest.raises(PlanError, match=r"plan: needs at least [\d,]+ MiB for batch 1.*; got 9"):
        convivo.plan(net="lenet5", input=(1, 512, 512), ram="90M", mode="infer")


def test_what_the_message_says_would_do_does() -> None:
    asked: dict[str, Any] = {"net": "lenet5", "input": (1, 28, 28), "mode": "infer"}
    with pytest.raises(PlanError, match=r"got 100 MiB\. Give --ram \d+M") as refused:
        convivo.plan(**asked, ram="100M")
    enough = refused.value.remedy.split()[2]
    assert convivo.plan(**asked, ram=size(enough)).document()["fits"] is True


class Normalized(nn.Module):
    """Normalizes over the batch what one item has a single value of."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.BatchNorm1d(5))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def test_an_own_module_that_needs_two_items() -> None:
    document = convivo.plan(Normalized(), input=(1, 8, 8), ram="2G").document()
    assert min(step["batch"] for step in document["solution"]["steps"]) == 2
    with pytest.raises(UsageError, match="--vram: takes a size"):
        convivo.plan(Normalized(), input=(1, 8, 8), vram="much")


def test_exit_status_says_whether_it_fits(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["plan", "--net", "lenet5", "--input", "1,28,28", "--mode", "infer", "--json"]
    assert main([*words, "--ram", "400M"]) == 0
    assert json.loads(capsys.readouterr().out)["fits"] is True
    assert main([*words, "--ram", "400M", "--batch", "40000"]) == 1
    assert json.loads(capsys.readouterr().out)["fits"] is False
    assert main([*words, "--ram", "10M"]) == 1
    assert "needs at least" in json.loads(capsys.readouterr().out)["error"]["rule"]


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two kinds of small images, twelve of each."""
    folder = tmp_path_factory.mktemp("cells")
    rng = np.random.default_rng(0)
    for name in ("round", "long"):
        (folder / name).mkdir()
        for number in range(12):
            image = rng.integers(0, 255, (40, 44), dtype=np.uint8)
            tifffile.imwrite(folder / name / f"{number:02}.tif", image)
    return folder


def test_a_plan_of_data_can_be_trained_with_what_was_found(cells: Path) -> None:
    data = convivo.inspect(cells)
    document = convivo.plan(data, net="lenet5", ram="8G").document()
    batch = document["solution"]["batch"]
    assert document["batch"] == document["train"]["batch"] == batch
    assert 1 < batch < 24  # no more than there is to learn from
    assert convivo.plan(data, net="lenet5").document()["solution"] is None
    with pytest.raises(PlanError, match="plan: needs at least"):
        convivo.plan(data, net="lenet5", ram="20M")


def test_patches_of_data_shrink_unless_their_size_was_set(tmp_path: Path) -> None:
    data = convivo.inspect(make_images(tmp_path, count=8, size=(36, 44)))
    asked: dict[str, Any] = {**UNET, "precision": "fp32"}
    whole = convivo.plan(data, **asked, batch=1).document()
    peak = whole["memory"]["tensors_peak"]
    half = on_accelerator(peak // 2)
    document = convivo.plan(data, **asked, vram=half).document()
    size_found = document["solution"]["patch"]
    assert document["input"][1:] == document["sampling"]["size"] == size_found
    assert document["network"]["input_size"] == size_found
    small, large = (" x ".join(map(str, n)) for n in (size_found, whole["input"][1:]))
    told = f"to stay within the memory: patches of {small} in the place of {large}"
    assert told in document["reasons"]
    assert max(size_found) < max(whole["input"][1:])
    found = document["memory"]["tensors_peak"]
    assert found <= peak // 2
    assert document["solution"]["bytes"] == on_accelerator(found)
    fixed = (*UNET["settings"], "input.size=[40,48]")
    with pytest.raises(PlanError, match=r"for batch 1 \(40 x 48, fp32, check.*Give --vram"):
        convivo.plan(data, **(asked | {"settings": fixed}), vram=half)
