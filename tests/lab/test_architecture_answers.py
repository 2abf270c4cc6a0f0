"""The architecture's endpoints: what they answer, what they refuse, which runs they open."""

import json
from pathlib import Path
from typing import Any

import pytest

from convivo.architectures import ARCHITECTURES
from convivo.files import read_json
from convivo.lab import architecture_runs
from convivo.lab.answers import Refusal
from convivo.lab.roots import Roots
from convivo.schemas import example

from .running import Running, error_of

UNET = {
    "net": "unet", "dims": 3, "channels": 1, "size": [32, 32, 32], "classes": 2, "batch": 1,
    "mode": "train", "precision": "fp32", "optimizer": "momentum",
}  # fmt: skip


def asked(lab: Running, path: str, **change: Any) -> dict[str, Any]:
    status, body = lab.post(f"arch/{path}", UNET | change)
    assert status == 200, body
    return json.loads(body)


def test_all_networks_are_listed_with_this_machines_memory(lab: Running) -> None:
    status, body = lab.get("arch")
    found = json.loads(body)
    assert status == 200
    assert [net["name"] for net in found["nets"]] == list(ARCHITECTURES)
    assert found["machine"]["limit"] > 2**28


def test_a_plan_sizes_and_a_curve(lab: Running) -> None:
    plan = asked(lab, "plan")
    assert plan["question"]["size"] == [32, 32, 32]
    assert sum(node["parameters"] for node in plan["nodes"]) == plan["parameters"]
    sizes = asked(lab, "sizes")
    assert sizes["step"] == 8
    points = asked(lab, "curve", sizes=[[32, 32, 32], [64, 64, 64], [33, 32, 32]])["points"]
    assert points[0]["memory"] == plan["memory"]
    assert points[1]["memory"]["outputs"] > 7 * points[0]["memory"]["outputs"]
    assert "multiple" in points[2]["refused"]


def test_options_of_a_network(lab: Running) -> None:
    plain = {"net": "mlp", "dims": 2, "size": [200, 200], "classes": 10}
    assert asked(lab, "plan", **plain, options={"hidden": []})["parameters"] == 400_010
    wide = asked(lab, "plan", **plain | {"classes": 1}, options={"hidden": [1000]})
    assert wide["parameters"] == 40_002_001


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("plan", {"net": "../../etc/passwd"}), ("plan", {"dims": 4}), ("plan", {"size": [32]}),
        ("plan", {"size": [0, 32, 32]}), ("plan", {"batch": 10**9}), ("plan", {"mode": "test"}),
        ("plan", {"extra": 1}), ("plan", {"options": {"pretrained": "weights"}}),
        ("plan", {"options": {"init": "he_normal"}}), ("plan", {"options": {"hidden": "a/b"}}),
        ("plan", {"options": {"levels": 1e9}}), ("plan", {"options": [1]}),
        ("plan", {"options": {"nonsense": 1}}), ("plan", {"size": [33, 32, 32]}),
        ("curve", {"sizes": [[32, 32, 32]] * 7}), ("curve", {"sizes": []}),
        ("curve", {"sizes": [[32, 32]]}), ("curve", {"sizes": "all"}), ("curve", {}),
    ],
)  # fmt: skip
def test_what_is_not_known_is_refused(lab: Running, path: str, change: dict) -> None:
    status, body = lab.post(f"arch/{path}", UNET | change)
    assert status in (400, 422), body
    error_of(body)


def test_a_refused_size_names_the_nearest(lab: Running) -> None:
    _, body = lab.post("arch/plan", UNET | {"size": [33, 32, 32]})
    error = error_of(body)
    assert "multiple" in error["message"]
    assert "40" in error["hint"]


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A run as training leaves it, as far as its plan goes."""
    network = {
        "name": "resnet18", "spatial_dims": 2, "in_channels": 3, "num_classes": 1000,
        "input_size": None, "width": 1.0, "options": {},
    }  # fmt: skip
    folder = tmp_path / "runs" / "first"
    folder.mkdir(parents=True)
    plan = example("plan") | {"network": network}
    (folder / "plan.json").write_text(json.dumps(plan))
    return folder


def test_a_run_is_opened_by_its_id(run_folder: Path) -> None:
    roots = Roots([run_folder.parent])
    (shown,) = architecture_runs.listed(roots)
    assert (shown["name"], shown["net"]) == ("first", "resnet18")
    found = architecture_runs.opened(roots, shown["entry"])
    plan = read_json(run_folder / "plan.json")
    assert found["question"]["size"] == plan["input"][1:]
    assert found["predicted"] == plan["memory"]
    assert found["measured"]["process_peak"] == plan["measured"]["process_peak"]
    assert architecture_runs.listed(roots)[0]["entry"] == shown["entry"], "ids stay"


def test_other_folders_and_links_are_not_opened(run_folder: Path, tmp_path: Path) -> None:
    inside = Roots([run_folder.parent])
    (shown,) = architecture_runs.listed(inside)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with pytest.raises(Refusal):
        architecture_runs.opened(Roots([elsewhere]), shown["entry"])
    with pytest.raises(Refusal):
        architecture_runs.opened(inside, "../plan.json")
    (elsewhere / "plan.json").symlink_to(run_folder / "plan.json")
    assert architecture_runs.listed(Roots([elsewhere])) == []


def test_a_folder_that_is_no_run_and_a_foreign_network(run_folder: Path) -> None:
    roots = Roots([run_folder.parent])
    (shown,) = architecture_runs.listed(roots)
    plan = read_json(run_folder / "plan.json")
    own = plan | {"network": plan["network"] | {"custom": True}}
    (run_folder / "plan.json").write_text(json.dumps(own))
    with pytest.raises(Refusal, match="your own module"):
        architecture_runs.opened(roots, shown["entry"])
    (run_folder / "plan.json").write_text(json.dumps(plan | {"network": {"name": "resnet18"}}))
    with pytest.raises(Refusal, match="what it was for"):
        architecture_runs.opened(roots, shown["entry"])
    (run_folder / "plan.json").write_text("[1, 2]")
    assert architecture_runs.listed(roots) == []
